"""Settings of what comes in: how much one request may bring, and how much memory all of them may take."""

from __future__ import annotations

from pydantic import Field

from .settings_data import DataSettings

MEGABYTE = 1_000_000


class IntakeSettings(DataSettings):
    """Sizes are in bytes, times in seconds where the name ends in ``_s``. ``ServiceSettings`` has them all."""

    # What one request may bring.
    max_photos: int = Field(default=10, ge=1)
    max_photo_bytes: int = 25 * MEGABYTE
    max_video_bytes: int = 200 * MEGABYTE
    max_body_bytes: int = 300 * MEGABYTE
    """The whole body of a request that may bring files."""
    max_csv_bytes: int = 5 * MEGABYTE
    """The whole body of an import of many reports."""
    max_json_bytes: int = 300_000
    """The whole body of any other request."""
    max_pixels: int = 64_000_000
    """Width times height of a photo."""
    max_video_pixels: int = 9_000_000
    """Width times height of the frames of a video: 4K. A decoder keeps up to 17 of them."""
    max_fields: int = 40
    """Parts of a form that are no files."""
    max_field_bytes: int = 64_000
    max_text_chars: int = 4_000
    max_addresses: int = 20
    """Web addresses in one report."""
    max_csv_rows: int = 5_000
    header_timeout_s: float = 15.0
    """From a connection to the end of its first request's header."""
    body_timeout_s: float = 120.0
    """From the header of a request to the end of its body."""
    spool_bytes: int = 64 * MEGABYTE
    """Memory for forms that are coming in; further ones go straight to temporary files."""
    uploads_at_once: int = Field(default=8, ge=1)
    """Photos that are cheap to unpack, and are checked and written at the same time."""
    cheap_bytes: int = 8 * MEGABYTE
    """Memory that unpacking such a photo takes at most; its file is not larger than that either."""
    check_bytes: int = 360 * MEGABYTE
    """Memory for unpacking all others. One that takes more by itself is refused; they wait for each other, the smallest first."""
    check_wait_s: float = 30.0
    """Those that have waited so long are told to come back later."""

    retry_window_s: float = 86_400.0
    """The same files with the same words from one system within this time are a request sent again."""
    least_free_bytes: int = 500 * MEGABYTE
    """With less space left on the disk of the photos, new reports are told to come back later."""
