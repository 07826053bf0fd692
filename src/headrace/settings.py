"""Settings, from the environment (`HEADRACE_…`) and the command line."""

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may set. Secrets are `SecretStr`: they show as stars in every repr."""

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", extra="ignore")

    database_url: SecretStr | None = None
    """A PostgreSQL 15 or newer; left out: an embedded server under `data_dir`."""
    data_dir: Path = Path("headrace-data")
    host: str = "127.0.0.1"
    port: int = 7370
    public_url: str | None = None
    """The address given out in webhooks and links; default http://host:port."""
    role: Literal["all", "api", "worker"] = "all"
    api_token: SecretStr | None = None
    """Fixes the first admin token and makes it the instance token; left out: one is made and printed once."""
    secret_key: SecretStr | None = None
    """Master key: 32 bytes in base64 or hex. Several, comma-separated: the first encrypts, all decrypt."""
    allow_base_url: bool = False
    """Credentials may carry `base_url` and point at loopback and private addresses (development, emulators)."""
    limits_override: str | None = None
    """Limits for credentials with a `base_url`: `none`, or requests a second, e.g. `1000`."""
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    lease_ttl_s: float = 8.0
    """A worker whose heartbeat is older has lost its syncs."""
    provider_quiet_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    """A provider that sends no byte for so long is given up and asked again."""
    provider_total_s: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    """So long at the most an answer of a provider may take from the request to its last byte."""

    @field_validator("limits_override")
    @classmethod
    def _none_or_a_number(cls, text: str | None) -> str | None:
        if text is None or text.strip().lower() == "none":
            return text
        try:
            allowed = float(text)
        except ValueError:
            allowed = 0.0
        if not 0 < allowed < math.inf:
            raise ValueError("must be 'none' or a number of requests per second")
        return text

    @property
    def key_dir(self) -> Path | None:
        """Where the master key of an embedded database lies; None with an external one, whose key must be given."""
        return None if self.database_url else self.data_dir
