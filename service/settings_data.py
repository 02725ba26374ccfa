"""Settings of people, personal data, exports and districts; ``ServiceSettings`` has them all."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

AES_KEY_BYTES = 32


class DataSettings(BaseSettings):
    """Times are in seconds where the name ends in ``_s``, in days where it ends in ``_days``; 0 days: kept without end."""

    model_config = SettingsConfigDict(env_prefix="TAGTRACE_", extra="ignore", frozen=True)

    # People.
    session_s: float = Field(default=8 * 3600.0, gt=0)
    """A person is signed in for so long at most."""
    session_idle_s: float = Field(default=3600.0, gt=0)
    """Somebody who does nothing for so long is signed out."""
    sign_in_attempts: int = Field(default=5, ge=1)
    """After so many wrong passwords for one name it is locked for a while."""
    lock_s: float = Field(default=30.0, gt=0)
    """The first lock; each further wrong password doubles it."""
    lock_most_s: float = Field(default=3600.0, gt=0)
    first_password_days: float = Field(default=7.0, gt=0)
    """A password that an administrator gave has to be changed within so many days; then it no longer counts."""
    hashes_at_once: int = Field(default=2, ge=1)
    """Passwords checked at the same time: each takes 64 MiB."""

    # Personal data.
    vault_keys: SecretStr = SecretStr("")
    """Keys that encrypt reporters' data: ``name:base64`` of 32 bytes each, separated by commas. The first encrypts, all
    decrypt. Without one, names and phones of reporters are not kept."""
    picture_px: int = Field(default=1600, ge=64)
    """Longest side of a picture that is shown."""
    crop_px: int = Field(default=960, ge=64)
    """Longest side of the crop of an advert."""

    # Retention.
    keep_reporter_days: int = Field(default=180, ge=0)
    """From the receipt of a report: name and phone of its reporter."""
    keep_words_days: int = Field(default=365, ge=0)
    """From the receipt of a report: what the citizen wrote, and the address."""
    keep_empty_photo_days: int = Field(default=90, ge=0)
    """From the receipt of a photo in which there is no advert: its bytes."""
    keep_photo_days: int = Field(default=1825, ge=0)
    """From the receipt of any other photo: its bytes, unless a resource that it shows is verified, sent or blocked, or somebody
    has yet to decide about an advert in it."""
    keep_undecided_photo_days: int = Field(default=3650, ge=0)
    """From the receipt of a photo with an advert that somebody has yet to decide about: its bytes. Not less than
    ``keep_photo_days``."""
    keep_webhook_days: int = Field(default=90, ge=0)
    """From the end of a message to an intake system."""
    keep_request_days: int = Field(default=30, ge=0)
    """Idempotency keys."""
    keep_session_days: int = Field(default=30, ge=0)
    """From the end of a person's session, and of a lock."""

    # Statistics.
    districts: str = ""
    """GeoJSON file of polygons with the property ``name``; without it, districts are h3 cells."""
    district_resolution: int = Field(default=7, ge=0, le=10)
    """Resolution of the h3 cells: 7 has about 5 km²."""

    # Drift.
    drift_reference: str = ""
    """File that ``tagtrace models reference`` wrote; without it, that of the installed models."""
    drift_days: int = Field(default=7, ge=1)
    """What was seen in so many days, today beside, is compared with the reference."""
    drift_photos: int = Field(default=100, ge=1)
    """With fewer photos in these days nothing is said: chance would be larger than what is to be noticed."""

    # Review desk.
    desk_hold_s: float = Field(default=300.0, gt=0)
    """So long an advert is kept for the expert whom it is shown to."""
    wait_for_photo_days: int = Field(default=14, ge=1)
    """An advert that was set aside for another photo is in the queue again after so many days, also where none came."""
    desk_tiles_url: str = ""
    """Street background of maps, as ``https://tiles.city.example/{z}/{x}/{y}.png``; without it maps have a plain ground."""
    desk_tiles_attribution: str = ""
    """Whose background it is, as plain text."""

    @field_validator("vault_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        read_keys(value.get_secret_value())
        return value

    @field_validator("districts")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError(f"{value}: no such file; give a GeoJSON file of polygons")
        return value

    @model_validator(mode="after")
    def _undecided_is_kept_longer(self) -> Self:
        """What nobody has decided about goes last."""
        decided, undecided = self.keep_photo_days, self.keep_undecided_photo_days
        if undecided and not 0 < decided <= undecided:
            least = f"{decided} (TAGTRACE_KEEP_PHOTO_DAYS) or more, or " if decided else ""
            raise ValueError(f"TAGTRACE_KEEP_UNDECIDED_PHOTO_DAYS must be {least}0, which keeps them without end")
        return self


def read_keys(text: str) -> list[tuple[str, bytes]]:
    """Names and keys of ``vault_keys`` in their order. ``ValueError`` where one is none."""
    found: list[tuple[str, bytes]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, encoded = part.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not name or len(name) > 32 or len(key) != AES_KEY_BYTES:
            raise ValueError("each key is name:base64 with 32 bytes; make one with: openssl rand -base64 32")
        found.append((name, key))
    if len({name for name, _ in found}) != len(found):
        raise ValueError("two keys have one name; give each its own")
    return found
