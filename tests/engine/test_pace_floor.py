"""A lower priority has its share of every limit, beside a more pressing one that always wants all of it."""

import asyncio
from collections import Counter

import pytest
from paced import access, provider
from test_pace import paced

from headrace.db.pool import Database
from headrace.engine.pace import Priority
from headrace.engine.precedence import FLOOR
from headrace.http import Request
from headrace.providers.kit import Limit

BASES = ("mill", "weir", "sluice")


@pytest.mark.parametrize("lower", [Priority.SWEEP, Priority.BACKFILL], ids=lambda priority: str(priority.name))
@pytest.mark.parametrize("allowed", [8, 20])
async def test_every_limit_of_a_class_keeps_a_share_for_the_lower_priorities(
    db: Database, lower: Priority, allowed: int
) -> None:
    """The limit of the account is never reached: it is the class that has to be waited for."""
    who = access(provider(Limit(1_000, 1.0), per_endpoint=Limit(allowed, 1.0)))
    turns = 8 * FLOOR
    sent: dict[str, Counter[Priority]] = {base: Counter() for base in BASES}
    async with paced(db) as pace:

        async def ask(base: str, priority: Priority) -> None:
            while sent[base].total() < turns:
                async with pace.permit(who, None, Request("/things", limit_class=base), priority):
                    sent[base][priority] += 1

        wanting = [Priority.CHANGES] * 4 + [lower] * 4
        await asyncio.gather(*(ask(base, priority) for base in BASES for priority in wanting))
    for counts in sent.values():
        assert counts[lower] >= turns / FLOOR - 2
        assert counts[Priority.CHANGES] > turns / 2
