"""A sync as it is shown: configuration, health, credential, and the rate limit that is in force."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.api import credentials as api_credentials
from headrace.api.answers import verbatim
from headrace.api.services import Services
from headrace.clock import iso
from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.db.trouble import NO_WRITES, in_words
from headrace.engine import status
from headrace.providers.kit import Provider
from headrace.vault import credentials
from headrace.vault.credentials import Credential


async def render(conn: Conn, services: Services, sync: Sync, now: datetime) -> dict[str, Any]:
    return (await render_all(conn, services, [sync], now))[0]


async def render_all(conn: Conn, services: Services, syncs: Sequence[Sync], now: datetime) -> list[dict[str, Any]]:
    """Each of `syncs`, all of one organisation, in their order: a handful of statements, however many there are."""
    if not syncs:
        return []
    health = await status.health(conn, syncs, now, await _troubles(conn, services, syncs))
    completed = await status.initial_backfill_completed(conn, syncs)
    used = await credentials.by_ids(conn, syncs[0].org_id, {sync.credential_id for sync in syncs})
    shown = await api_credentials.render_all(conn, used)
    held = {credential.id: (credential, each) for credential, each in zip(used, shown, strict=True)}
    return [
        _rendered(sync, health[sync.id], completed.get(sync.id), *held[sync.credential_id], services.providers)
        for sync in syncs
    ]


async def _troubles(conn: Conn, services: Services, syncs: Sequence[Sync]) -> dict[UUID, str]:
    """What is wrong with the database, as this process knows it."""
    if await conn.fetchval("show transaction_read_only") == "on":
        return dict.fromkeys((sync.id for sync in syncs), in_words(NO_WRITES[0]()))
    worker = services.worker
    if worker is None:
        return {}
    told = {sync.id: worker.trouble_of(sync.id) for sync in syncs}
    return {key: trouble for key, trouble in told.items() if trouble is not None}


def _rendered(
    sync: Sync,
    health: Mapping[str, Any],
    completed_at: datetime | None,
    credential: Credential,
    shown_credential: Mapping[str, Any],
    providers: Mapping[str, Provider],
) -> dict[str, Any]:
    return {
        "id": str(sync.id),
        "provider": sync.provider,
        "stream_id": str(sync.stream_id),
        "org_id": str(sync.org_id),
        "name": sync.name,
        "status": sync.status,
        "health": health,
        "collection_ids": sync.collection_ids,
        "rate_limit": rate_limit_in_force(sync, credential, providers),
        "credential_id": str(sync.credential_id),
        "credential": shown_credential,
        "max_age_days": _number(sync.max_age_days),
        "sync_frequency": sync.sync_frequency,
        "initial_backfill_completed_at": None if completed_at is None else iso(completed_at),
        "external_id": sync.external_id,
        "max_poll_ms": sync.max_poll_ms,
        "deleted_retention_days": _number(sync.deleted_retention_days),
        "metadata": verbatim(sync.metadata),
        "created_at": iso(sync.created_at),
        "updated_at": iso(sync.updated_at),
    }


def rate_limit_in_force(sync: Sync, credential: Credential, providers: Mapping[str, Provider]) -> dict[str, int] | None:
    """The sync's own limit, else the provider's default; None without its connector."""
    if sync.rate_limit is not None:
        return asdict(sync.rate_limit)
    provider = providers.get(sync.provider)
    if provider is None:
        return None
    allowed, interval = provider.default_rate_limit(credentials.mode(credential))
    return {
        "allowed_requests": allowed,
        "interval": interval,
        "max_concurrent_requests": provider.limits.concurrent,
    }


def _number(days: float | None) -> float | int | None:
    """365 and not 365.0: the number as it was given."""
    return int(days) if days is not None and days.is_integer() else days
