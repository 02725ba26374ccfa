"""Settings of the Open311 endpoint and of pictures that reports name by their addresses; ``ServiceSettings`` has them all."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Open311Settings(BaseSettings):
    """Times are in seconds where the name ends in ``_s``."""

    model_config = SettingsConfigDict(env_prefix="TAGTRACE_", extra="ignore", frozen=True)

    open311_jurisdiction: str = ""
    """The ``jurisdiction_id`` of this endpoint, as ``city.example``; a request for another one is answered with 404."""
    open311_agency: str = ""
    """Who is responsible for requests (``agency_responsible``), as shown to citizens."""
    open311_contact: str = "Ask the operator of this service."
    """How to reach the operator, in the discovery document."""
    open311_key_service: str = "Ask the operator of this service for an API key."
    """How to get an API key, in the discovery document."""
    open311_page: int = Field(default=1000, ge=1, le=1000)
    """Requests in one answer at most."""
    open311_span_days: int = Field(default=90, ge=1, le=366)
    """From ``start_date`` to ``end_date`` at most, and how far back is looked without them."""
    open311_unknown_forms: int = Field(default=8, ge=1)
    """Forms with files that are taken in at the same time before it is known who sends them (the key is inside the form)."""

    media_hosts: str = ""
    """Hosts that pictures named by their addresses may be fetched from, separated by commas; none: none is fetched."""
    media_private_addresses: bool = False
    """Whether these hosts may have private addresses and speak plain http (a picture store in the own network)."""
    media_timeout_s: float = Field(default=20.0, gt=0)
    """From the connection to the last byte of a picture."""
    media_attempts: int = Field(default=4, ge=1)
    """After so many attempts the report is read without the picture."""
    media_backoff_s: float = Field(default=15.0, ge=0)
    """Wait before the second attempt; doubles with each further one."""
    max_media: int = Field(default=10, ge=1)
    """Addresses of pictures in one report."""

    @field_validator("media_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        hosts = [host.strip().lower().rstrip(".") for host in value.split(",") if host.strip()]
        wrong = [host for host in hosts if not all(char.isalnum() or char in "-." for char in host)]
        if wrong:
            raise ValueError(f"{wrong[0]}: is no host name; give names alone, as media.city.example")
        return ",".join(hosts)
