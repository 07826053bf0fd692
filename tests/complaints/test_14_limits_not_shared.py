"""Complaint 14: each connection keeps the provider's limit for itself, and together they are over it."""

from dataclasses import replace
from datetime import timedelta

from holding import Holding, holding
from shop import SHOP, Asked, open_shop

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.engine.pace import Pace
from headrace.engine.transport import Transport
from headrace.ids import uuid7
from headrace.providers.kit import Limit, LimitPolicy
from headrace.settings import Settings

ALLOWED, WINDOW = 10, 1
LIMITED = replace(SHOP, limits=LimitPolicy((Limit(ALLOWED, WINDOW),)), _by_id={})


async def test_two_connections_of_an_account_stay_within_its_limit_together(db: Database) -> None:
    async with open_shop() as shop:
        for n in range(150):
            shop.put("tag", f"t{n:03}")
        async with holding(db, shop, ["tag"], LIMITED) as one, holding(db, shop, ["tag"], LIMITED) as other:
            paces = [paced(db, held, b"the same account") for held in (one, other)]
            await one.start()
            await other.start()
            await one.until(one.backfilled, within=60)
            await other.until(other.backfilled, within=60)
            for held in (one, other):
                await held.stop()
            for pace in paces:
                await pace.stop()
        assert most_within(shop.asked, timedelta(seconds=WINDOW) - timedelta(milliseconds=250)) <= ALLOWED


def paced(db: Database, held: Holding, account: bytes) -> Pace:
    """A pace of its own for this connection, as another process has it, with the provider's limits in force."""
    settings = Settings(allow_base_url=True)
    pace = Pace(db, uuid7(), settings)
    held.services = replace(held.services, pace=pace, transport=Transport(db, pace, settings))
    held.sync = replace(held.sync, rate_limit=RateLimit(1000, 1))
    held.access = replace(held.access, account_hash=account)
    return pace


def most_within(asked: list[Asked], window: timedelta) -> int:
    moments = sorted(one.at for one in asked)
    return max(sum(first <= moment < first + window for moment in moments) for first in moments)
