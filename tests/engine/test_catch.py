"""The safety catch on what a feed deletes: what looks like a mistake is held back whole, and nothing else is."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pytest
from holding import Holding, holding
from shop import open_shop

from headrace.db.pool import Database
from headrace.engine import catch
from headrace.engine.session import Session
from headrace.ids import record_id, record_namespace
from headrace.stream.append import append
from headrace.stream.items import Batch, ChildSet, Delete, Record

PARENTS, EACH, TAGS = 4, 550, 60
NOTES = [(f"o{n // EACH}", f"n{n}") for n in range(PARENTS * EACH)]
"""(parent, id): more than a thousand in two parents."""


@dataclass(frozen=True)
class Stand:
    """A session whose sync holds NOTES and some tags."""

    held: Holding
    session: Session
    as_of: datetime

    def of(self, kind: str, key: str) -> UUID:
        return record_id(record_namespace(self.held.sync.id, f"shop:{kind}"), key)

    def deletes(self, kind: str, keys: Sequence[str]) -> list[Delete]:
        return [Delete(f"shop:{kind}", key, self.as_of) for key in keys]

    def emptied(self, *parents: str) -> list[ChildSet]:
        return [ChildSet("shop:note", parent, frozenset(), self.as_of) for parent in parents]

    async def held_back(self) -> dict[str, set[UUID]]:
        rows = await self.held.db.api.fetch("select collection_id, record_ids from held_deletes")
        return {row["collection_id"]: set(row["record_ids"]) for row in rows}

    async def forget(self) -> None:
        await self.held.db.api.execute("delete from held_deletes")


@asynccontextmanager
async def standing(db: Database) -> AsyncIterator[Stand]:
    async with open_shop() as shop, holding(db, shop, ["note", "tag"]) as held:
        now = db.clock.now()
        fence = await held.claim()
        notes = [Record("shop:note", key, b'{"a":1}', now, parent=parent) for parent, key in NOTES]
        tags = [Record("shop:tag", f"t{n}", b'{"a":1}', now) for n in range(TAGS)]
        await append(db, fence, Batch(records=notes + tags), {}, now)
        yield Stand(held, Session(held.services, held.sync, fence, held.access, lambda: True), now)


@pytest.mark.parametrize("seed", range(3))
async def test_what_goes_through_looks_like_no_mistake_and_the_rest_is_kept(db: Database, seed: int) -> None:
    drawn = random.Random(seed)
    async with standing(db) as stand:
        for _ in range(15):
            await stand.forget()
            names = [key for _, key in drawn.sample(NOTES, drawn.choice((0, 1, 999, 1_000, 1_001, 2_000)))]
            names += [f"unknown{n}" for n in range(drawn.choice((0, 3, 1_500)))]
            deletes = stand.deletes("note", names) + stand.deletes(
                "tag", [f"t{n}" for n in range(drawn.randint(0, 60))]
            )
            drawn.shuffle(deletes)
            sets = stand.emptied(*drawn.sample(["o0", "o1", "o2", "o3", "unknown"], drawn.randint(0, 5)))
            sets.append(ChildSet("shop:note", "o9", frozenset({"n1"}), stand.as_of))

            gone, cleared = await catch.sift(stand.session, deletes, sets)
            kept_back = (await stand.held_back()).get("shop:note", set())

            assert gone == [
                each for each in deletes if each.collection == "shop:tag" or stand.of("note", each.id) not in kept_back
            ]
            emptied = {each.parent for each in sets if not each.ids}
            going = {stand.of("note", key) for parent, key in NOTES if parent in emptied or key in set(names)}
            if len(going) <= catch.ONE_BY_ONE or not (emptied or len(names) > catch.ONE_BY_ONE):
                going = {stand.of("note", key) for parent, key in NOTES if parent in emptied}
            mistake = len(going) > catch.A_FAMILY and catch.trips(len(going), len(NOTES))
            assert kept_back == (going if mistake else set())
            assert cleared == ([each for each in sets if each.ids] if mistake else sets)
            assert stand.session.held.keys() >= ({"shop:note"} if mistake else set())


@pytest.mark.parametrize(("children", "others", "goes"), [(100, 0, True), (101, 0, False), (101, 910, True)])
async def test_a_table_that_is_dropped_is_held_back_and_a_family_that_leaves_is_not(
    db: Database, children: int, others: int, goes: bool
) -> None:
    """More than a hundred, and more than a tenth."""
    async with standing(db) as stand:
        now = stand.as_of
        made = [("family" if n < children else "others", f"c{n}") for n in range(children + others)]
        records = [Record("shop:document", key, b'{"a":1}', now, parent=parent) for parent, key in made]
        await append(db, stand.session.fence, Batch(records=records), {}, now)
        sets = [ChildSet("shop:document", "family", frozenset(), now)]
        assert await catch.sift(stand.session, [], sets) == ([], sets if goes else [])
        assert len((await stand.held_back()).get("shop:document", ())) == (0 if goes else children)


async def test_deletes_of_what_was_never_held_go_through_however_many(db: Database) -> None:
    """They are the guards against pictures that come late; a backfill may not have reached the records yet."""
    async with standing(db) as stand:
        deletes = stand.deletes("note", [f"unknown{n}" for n in range(5_000)])
        assert await catch.sift(stand.session, deletes, []) == (deletes, [])
        assert await stand.held_back() == {}


async def test_what_one_page_after_the_other_holds_back_adds_up_under_a_new_id(db: Database) -> None:
    async with standing(db) as stand:
        ids = []
        for parents in (("o0", "o1"), ("o2", "o3")):
            assert await catch.sift(stand.session, [], stand.emptied(*parents)) == ([], [])
            ids.append(stand.session.held["shop:note"].sweep_id)
        assert ids[0] != ids[1]  # a person who has seen the first number does not confirm the second
        assert await stand.held_back() == {"shop:note": {stand.of("note", key) for _, key in NOTES}}
        assert stand.session.held["shop:note"].deletes == stand.session.held["shop:note"].of == len(NOTES)


async def test_what_one_collection_holds_back_holds_back_no_other(db: Database) -> None:
    async with standing(db) as stand:
        tags = stand.deletes("tag", [f"t{n}" for n in range(TAGS)])
        notes = stand.deletes("note", [key for _, key in NOTES])
        assert await catch.sift(stand.session, notes + tags, []) == (tags, [])
