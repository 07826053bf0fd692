"""A provider and its access for the tests of pace and transport, and a process that asks as fast as it may.

python tests/engine/paced.py DSN URL ALLOWED WINDOW_S SECONDS CONCURRENCY
    [SYNC_ALLOWED SYNC_INTERVAL SYNC_ID[,SYNC_ID…] [SYNC_CONCURRENT]]

CONCURRENCY requests at once, for each of the syncs.
"""

import asyncio
import sys
from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp

from headrace.control.syncs import RateLimit, Sync
from headrace.db.pool import Database
from headrace.engine.access import Access
from headrace.engine.pace import Pace, Priority
from headrace.http import Request, Response
from headrace.ids import uuid7
from headrace.providers.kit import Account, CredentialKind, Fault, Limit, LimitPolicy, Provider
from headrace.settings import Settings

SECRET = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
ORG = UUID(int=1)


def sign(request: Request, properties: Mapping[str, Any], now: datetime) -> Request:
    return request.with_header("authorization", f"Bearer {properties['secret']}")


def verify(properties: Mapping[str, Any], now: datetime) -> Generator[Request, Response, Account]:
    response = yield Request("/v1/account")
    return Account(id=response.decode(dict[str, str])["id"])


def fault(response: Response) -> Fault | None:
    if response.status == 429:
        return Fault("rate", "too many requests")
    if response.status == 401:
        return Fault("auth", response.json()["error"]["message"])
    if response.status >= 500:
        return Fault("transient", "server error")
    if response.status >= 400:
        return Fault("bad", response.json()["error"]["message"])
    return None


KIND = CredentialKind(kind="example_key", schema={}, secret=frozenset({"secret"}), sign=sign, verify=verify)


def provider(*limits: Limit, **policy: Any) -> Provider:
    return Provider(
        slug="example",
        name="Example",
        base_url=lambda properties: properties.get("base_url", "https://api.example.com"),
        hosts=("api.example.com",),
        kinds=(KIND,),
        limits=LimitPolicy(limits=limits, **policy),
        collections=(),
        fault=fault,
        default_rate_limit=lambda mode: (1_000_000, 1),
    )


def access(of: Provider, base_url: str | None = None, account: bytes = b"account") -> Access:
    properties = {"secret": SECRET} | ({"base_url": base_url} if base_url else {})
    return Access(ORG, UUID(int=2), of, KIND, properties, account, base_url=base_url)


def sync(rate_limit: RateLimit | None = None, sync_id: UUID | None = None) -> Sync:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return Sync(
        org_id=ORG,
        id=sync_id or uuid7(),
        stream_id=UUID(int=3),
        provider="example",
        credential_id=UUID(int=2),
        name="example",
        status="active",
        collection_ids=("example:thing",),
        rate_limit=rate_limit,
        max_age_days=None,
        sync_frequency="continuous",
        max_poll_ms=60_000,
        deleted_retention_days=None,
        external_id=None,
        metadata="{}",
        created_at=moment,
        updated_at=moment,
    )


def limited(of: Sync, limit: RateLimit, second: int = 1) -> Sync:
    """The same sync after a PATCH of its rate_limit."""
    return replace(of, rate_limit=limit, updated_at=of.updated_at.replace(second=second))


async def ask_on(pace: Pace, who: Access, whose: Sync | None, url: str, concurrency: int, until: asyncio.Event) -> None:
    """Ask as fast as the pace lets, with so many requests at once."""
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            while not until.is_set():
                async with (
                    pace.permit(who, whose, Request("/things"), Priority.BACKFILL),
                    session.get(url) as response,
                ):
                    await response.read()

        await asyncio.gather(*(one() for _ in range(concurrency)))


async def main(arguments: list[str]) -> None:
    dsn, url, allowed, window_s, seconds, concurrency, *own = arguments
    db = await Database.open(dsn, api_size=4, ingest_size=1)
    limit = RateLimit(int(own[0]), int(own[1]), *map(int, own[3:])) if own else None
    syncs = [sync(limit, UUID(name)) for name in own[2].split(",")] if own else [None]
    pace = Pace(db, uuid7(), Settings())
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(float(seconds), done.set)
    limits = [Limit(float(allowed), float(window_s))] if float(allowed) else []
    who = access(provider(*limits))
    await asyncio.gather(*(ask_on(pace, who, whose, url, int(concurrency), done) for whose in syncs))
    await pace.stop()
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
