"""All settings of the service in one object, from the environment (``TAGTRACE_…``) and a TOML file.

``TAGTRACE_SETTINGS`` names the file; what the environment says counts more. Outside development, unsafe values are refused.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ..contract import TagtraceError
from .settings_intake import IntakeSettings
from .settings_open311 import Open311Settings

SETTINGS_FILE = "TAGTRACE_SETTINGS"
DEVELOPMENT_SECRET = "development-only-secret-not-for-production"
LEAST_SECRET = 32
"""Characters that a secret has at least."""


class Environment(StrEnum):
    """Where the service runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ServiceSettings(IntakeSettings, Open311Settings):
    """Everything that can be set. Sizes are in bytes, times in seconds where the name ends in ``_s``."""

    model_config = SettingsConfigDict(env_prefix="TAGTRACE_", extra="ignore", frozen=True)

    environment: Environment = Environment.PRODUCTION
    secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """Signs cookies and links, and is where the key of webhooks comes from when none is given."""
    store: str = "tagtrace.db"
    """Path of an SQLite file, or ``postgresql://user@host/database``."""
    photos: str = "photos"
    """Folder, or URL of fsspec, for photos as received."""
    public_url: str = "http://127.0.0.1:8000"
    """Where clients and people reach the service; links in answers and webhooks begin with it."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=0, le=64)
    """Worker processes that ``tagtrace serve`` starts; 0 where ``tagtrace work`` runs elsewhere."""
    log_level: str = "INFO"

    # Access.
    key_known_s: float = 1.0
    """How long a key that was looked up is known without another look; a revoked key ends within this time."""
    key_rate_per_minute: float = 600.0
    """Requests a minute of one API key, on average."""
    key_burst: int = 120
    """Requests of one API key at once."""
    analyse_at_once: int = Field(default=1, ge=1)
    """Photos that ``/v1/analyse`` reads at the same time; further requests are told to come back."""

    # Jobs.
    max_waiting_jobs: int = 20_000
    """With more jobs waiting, new reports are told to come back later."""
    retry_after_s: int = 30
    lease_s: float = 120.0
    """A job whose worker has not been heard of for so long is given to another one."""
    job_attempts: int = Field(default=4, ge=1)
    """After so many attempts that failed, or killed their worker, a job is set aside."""
    job_backoff_s: float = 5.0
    """Wait before the second attempt; doubles with each further one."""
    job_backoff_most_s: float = 600.0
    job_timeout_s: float = 600.0
    """A job that takes longer is taken as failed, and its worker ended."""
    poll_s: float = 0.5
    """Between two looks of an idle worker for work."""
    worker_jobs: int = 2_000
    """After so many jobs a worker process is replaced by a fresh one."""
    threads: int = Field(default=0, ge=0)
    """Processor threads of the models in one worker; 0: cores divided by workers."""
    reader: str = "tagtrace"
    register_refresh_s: float = Field(default=5.0, ge=0)
    """How long a process links to the register of shops as it knows it before it looks whether it has changed (one row)."""
    video_frames: int = 60
    """Frames of a video that are looked at, spread evenly."""
    video_keep: int = 6
    """Sharpest frames of a video that are read."""
    max_video_s: float = 300.0
    """Only the first seconds of a longer video are looked at."""

    # Webhooks.
    webhook_secret: SecretStr | None = None
    webhook_private_addresses: bool = False
    """Whether callbacks may go to private and local addresses (an intake system in the same network)."""
    webhook_timeout_s: float = 10.0
    webhook_attempts: int = Field(default=10, ge=1)
    """After so many attempts a message becomes a dead letter."""
    webhook_backoff_s: float = 10.0
    webhook_backoff_most_s: float = 3_600.0

    local_timezone: str = "Asia/Almaty"
    """For times shown to people; everything is stored in UTC."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file that ``TAGTRACE_SETTINGS`` names."""
        named = os.environ.get(SETTINGS_FILE)
        if named is None:
            return init_settings, env_settings
        if not Path(named).is_file():
            raise TagtraceError(f"{named}: no such file; {SETTINGS_FILE} names a TOML file with settings")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=Path(named))

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with https:// (or http:// in development)")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """Outside development nothing unsafe is accepted."""
        if self.development:
            return self
        wrong = []
        for name in ("secret", "webhook_secret"):
            secret = getattr(self, name)
            if secret is None:
                continue
            text = secret.get_secret_value()
            if text == DEVELOPMENT_SECRET or len(text) < LEAST_SECRET:
                wrong.append(f"TAGTRACE_{name.upper()} must be a random text of {LEAST_SECRET} characters or more")
        local = self.public_url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
        if not self.public_url.startswith("https://") and not local:
            wrong.append("TAGTRACE_PUBLIC_URL must begin with https://")
        if wrong:
            raise ValueError("; ".join(wrong) + " (or set TAGTRACE_ENVIRONMENT=development on your own machine)")
        return self

    @property
    def development(self) -> bool:
        """Whether this is somebody's own machine."""
        return self.environment is Environment.DEVELOPMENT


def load_settings(**values: object) -> ServiceSettings:
    """The settings from environment and file, with ``values`` above both.

    Raises ``TagtraceError`` that names every setting that is wrong.
    """
    try:
        return ServiceSettings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        said = "; ".join(_explained(item["loc"], item["msg"]) for item in error.errors(include_input=False, include_url=False))
        raise TagtraceError(f"settings: {said}") from error


def _explained(place: tuple[int | str, ...], message: str) -> str:
    name = f"TAGTRACE_{str(place[0]).upper()}: " if place else ""
    return name + message.removeprefix("Value error, ")
