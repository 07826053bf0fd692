"""Webhooks that come in: genuine ones make a sync look at once, and fetch what they name. They are never the only
source."""

import hashlib
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.access import describe
from headrace.api.answers import Json
from headrace.api.metrics import WEBHOOKS
from headrace.api.services import services_of
from headrace.control import syncs
from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.engine import hints
from headrace.errors import BadRequest, NotFound
from headrace.ids import parse_uuid
from headrace.providers.kit import Delivery, NotGenuine
from headrace.settings import Settings
from headrace.vault.keys import Keyring
from headrace.vault.sealing import identity

router = APIRouter(tags=["webhooks in"])
log = structlog.get_logger()


def path_hash(secret: str) -> bytes:
    """What is stored of the secret part of an address: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(secret.encode()).digest()


def address(settings: Settings, sync_id: UUID, secret: str) -> str:
    """Where the provider is to send a sync's webhooks."""
    return f"{_base(settings)}/webhooks/{sync_id}/{secret}"


def _base(settings: Settings) -> str:
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


async def seal_secret(conn: Conn, keyring: Keyring, sync: Sync, signing_secret: str) -> bytes:
    return await keyring.seal(conn, sync.org_id, _aad(sync), signing_secret.encode())


def _aad(sync: Sync) -> bytes:
    return identity("syncs.webhook_secret", sync.org_id, sync.id)


@router.post(
    "/webhooks/{sync_id}/{secret}",
    response_model=shapes.Received,
    responses={400: {"model": shapes.Problem, "description": "Not readable, or its signature or time does not hold"}},
)
async def receive(request: Request, sync_id: str, secret: str) -> Json:
    """Where a provider sends a sync's webhooks. The address comes from `PUT /v1/syncs/{id}/webhook`."""
    services = services_of(request)
    body = await request.body()
    id_ = parse_uuid(sync_id)
    async with services.db.transaction() as conn:
        found = None if id_ is None else await syncs.of_webhook(conn, id_, path_hash(secret))
        if found is None:
            WEBHOOKS.labels("unknown").inc()
            raise NotFound("This address takes no webhooks: it was replaced, or its sync is deleted.")
        sync, sealed = found
        hook = services.providers[sync.provider].hook if sync.provider in services.providers else None
        if hook is None:
            WEBHOOKS.labels("unknown").inc()
            raise NotFound("This address takes no webhooks: the connector that reads them is not installed.")
        signing_secret = (await services.keyring.open(conn, sync.org_id, _aad(sync), sealed)).decode()
        now = services.db.clock.now()
        try:
            named = hook.read(_delivery(request, services.settings, body), signing_secret, now)
        except NotGenuine as reason:
            WEBHOOKS.labels("not_genuine").inc()
            log.warning("webhook_not_genuine", sync_id=str(sync.id), reason=str(reason))
            raise BadRequest(
                f"This webhook is not genuine: {reason}. Check the signing secret with the provider."
            ) from None
        except Exception as error:  # anybody may send anything here, and connectors come from elsewhere too
            WEBHOOKS.labels("unreadable").inc()
            log.warning("webhook_unreadable", sync_id=str(sync.id), **describe(error))
            raise BadRequest(
                f"This webhook cannot be read as one of {sync.provider}. Check that the provider alone sends to this "
                "address."
            ) from None
        await hints.take(conn, sync, named, now)
    WEBHOOKS.labels("taken").inc()
    return Json({"received": True})


def _delivery(request: Request, settings: Settings, body: bytes) -> Delivery:
    """The webhook with the address that the provider called: some sign it, and a proxy in between changes the host."""
    path = request.scope["raw_path"].decode("latin-1")
    query = f"?{request.url.query}" if request.url.query else ""
    return Delivery(
        headers=dict(request.headers), body=body, url=f"{_base(settings)}{path}{query}", method=request.method
    )
