"""Where providers send their webhooks: addresses of which the last part is a secret, stored as its hash."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from pydantic import Field

from headrace.errors import Invalid
from headrace.settings import Settings

APPS = "apps"

WebhookUrl = Annotated[
    str | None,
    Field(
        max_length=4096,
        description="The address that stands, to be kept: some providers make the secret for an address.",
    ),
]


def path_hash(secret: str) -> bytes:
    """What is stored of the secret part of an address: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(secret.encode()).digest()


def base(settings: Settings) -> str:
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


def of_sync(settings: Settings, sync_id: UUID) -> str:
    """Where a sync's webhooks are sent, up to the secret part."""
    return f"{base(settings)}/webhooks/{sync_id}/"


def of_app(settings: Settings, app_id: UUID) -> str:
    """Where an OAuth app's webhooks are sent, up to the secret part."""
    return f"{base(settings)}/webhooks/{APPS}/{app_id}/"


async def secret_part(place: str, url: str | None, stands: Callable[[bytes], Awaitable[object]]) -> str:
    """The secret part of the address at `place`: a new one, or that of `url`, which must be the address that stands.
    Raises Invalid."""
    if url is None:
        return secrets.token_urlsafe(32)
    secret = url.removeprefix(place)
    if url != place + secret or not await stands(path_hash(secret)):
        raise Invalid({"url": ["is not the address that these webhooks come to; leave it out for a new one"]})
    return secret
