"""Webhooks that come in: genuine ones make a sync look at once, and fetch what they name. They are never the only
source."""

from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request

from headrace.api import shapes, webhook_addresses
from headrace.api.access import describe
from headrace.api.answers import Json
from headrace.api.metrics import WEBHOOKS
from headrace.api.services import Services, services_of
from headrace.api.webhook_addresses import APPS, path_hash
from headrace.control import syncs
from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.engine import hints
from headrace.errors import BadRequest, NotFound
from headrace.ids import parse_uuid
from headrace.providers.kit import Delivery, Hint, Hook, NotGenuine
from headrace.settings import Settings
from headrace.vault import app_webhooks
from headrace.vault.keys import Keyring
from headrace.vault.sealing import identity

router = APIRouter(tags=["webhooks in"])
log = structlog.get_logger()

_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": shapes.Problem, "description": "Not readable, or its signature or time does not hold"}
}


async def seal_secret(conn: Conn, keyring: Keyring, sync: Sync, signing_secret: str) -> bytes:
    return await keyring.seal(conn, sync.org_id, _aad(sync), signing_secret.encode())


def _aad(sync: Sync) -> bytes:
    return identity("syncs.webhook_secret", sync.org_id, sync.id)


@router.post("/webhooks/{sync_id}/{secret}", response_model=shapes.Received, responses=_RESPONSES)
async def receive(request: Request, sync_id: str, secret: str) -> Json:
    """Where a provider sends a sync's webhooks. The address comes from `PUT /v1/syncs/{id}/webhook`."""
    services = services_of(request)
    delivery = await _delivery(request, services.settings)
    id_ = parse_uuid(sync_id)
    async with services.db.transaction() as conn:
        found = None if id_ is None else await syncs.of_webhook(conn, id_, path_hash(secret))
        if found is None:
            raise _nowhere("it was replaced, or its sync is deleted")
        sync, sealed = found
        hook = _hook(services, sync.provider)
        signing_secret = (await services.keyring.open(conn, sync.org_id, _aad(sync), sealed)).decode()
        named, _ = _read(services, hook, sync.provider, delivery, signing_secret, sync_id=str(sync.id))
        await hints.take(conn, sync, named, services.db.clock.now())
    WEBHOOKS.labels("taken").inc()
    return Json({"received": True})


@router.post(f"/webhooks/{APPS}/{{oauth_app_id}}/{{secret}}", response_model=shapes.Received, responses=_RESPONSES)
async def receive_for_app(request: Request, oauth_app_id: str, secret: str) -> Json:
    """Where a provider sends the webhooks of an app, for all accounts that the app may read. The syncs of the accounts
    that a webhook speaks of look at once. The address comes from `PUT /v1/oauth-apps/{id}/webhook`."""
    services = services_of(request)
    delivery = await _delivery(request, services.settings)
    id_ = parse_uuid(oauth_app_id)
    async with services.db.transaction() as conn:
        found = None if id_ is None else await app_webhooks.find(conn, services.keyring, id_, path_hash(secret))
        if found is None:
            raise _nowhere("it was replaced, or its OAuth app is deleted")
        app, signing_secret = found
        hook = _hook(services, app.provider)
        named, accounts = _read(services, hook, app.provider, delivery, signing_secret, oauth_app_id=str(app.id))
        looking = 0
        for account in accounts:
            theirs = [hint for hint in named if hint.account in (None, account)]
            for sync in await syncs.of_app_account(conn, app.org_id, app.id, account):
                await hints.take(conn, sync, theirs, services.db.clock.now())
                looking += 1
    WEBHOOKS.labels("taken" if looking else "no_account").inc()
    return Json({"received": True})


def _nowhere(why: str) -> NotFound:
    WEBHOOKS.labels("unknown").inc()
    return NotFound(f"This address takes no webhooks: {why}.")


def _hook(services: Services, provider: str) -> Hook:
    hook = services.providers[provider].hook if provider in services.providers else None
    if hook is None:
        raise _nowhere("the connector that reads them is not installed")
    return hook


def _read(
    services: Services, hook: Hook, provider: str, delivery: Delivery, signing_secret: str, **place: str
) -> tuple[list[Hint], list[str]]:
    """What a delivery names, and the accounts that it speaks of; `place` is what the log names. Raises BadRequest."""
    try:
        named = hook.read(delivery, signing_secret, services.db.clock.now())
        return named, [] if hook.accounts is None else hook.accounts(delivery)
    except NotGenuine as reason:
        WEBHOOKS.labels("not_genuine").inc()
        log.warning("webhook_not_genuine", **place, reason=str(reason))
        raise BadRequest(
            f"This webhook is not genuine: {reason}. Check the signing secret with the provider."
        ) from None
    except Exception as error:  # anybody may send anything here, and connectors come from elsewhere too
        WEBHOOKS.labels("unreadable").inc()
        log.warning("webhook_unreadable", **place, **describe(error))
        raise BadRequest(
            f"This webhook cannot be read as one of {provider}. Check that the provider alone sends to this address."
        ) from None


async def _delivery(request: Request, settings: Settings) -> Delivery:
    """The webhook with the address that the provider called: some sign it, and a proxy in between changes the host."""
    path = request.scope["raw_path"].decode("latin-1")
    query = f"?{request.url.query}" if request.url.query else ""
    return Delivery(
        headers=dict(request.headers),
        body=await request.body(),
        url=f"{webhook_addresses.base(settings)}{path}{query}",
        method=request.method,
    )
