"""A repository that is renamed is the same one: what was read under its former name is judged as what it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holding import Holding, holding_at

from headrace.control.syncs import RateLimit
from headrace.db.pool import Database
from headrace.providers.github import GITHUB
from headrace.providers.github.access import TOKEN
from headrace.testing.github import GithubServer, Truth

COUNTS = {"issue": 30, "tag": 30}
KEPT = ["github:issue", "github:tag"]
"""What is asked for at an address of its own when it is missing, and what has none."""


@asynccontextmanager
async def read(db: Database, server: GithubServer) -> AsyncIterator[Holding]:
    """A sync that has read everything, stopped."""
    properties, fast = {"token": "ghp_headraceTests"}, RateLimit(100_000, 1)
    async with holding_at(db, server.base_url, KEPT, GITHUB, TOKEN, properties, rate_limit=fast) as held:
        await held.start()
        await held.read_to_the_end()
        await held.stop()
        yield held


async def compare(held: Holding) -> None:
    for collection in KEPT:
        await held.sweep_now(collection)
    await held.start()

    async def compared() -> bool:
        shown = await held.collections()
        return all(shown[collection]["last_sweep_completed_at"] is not None for collection in KEPT)

    await held.until(compared)


async def test_a_repository_that_is_renamed_and_then_refused_loses_no_record(db: Database) -> None:
    async with GithubServer(COUNTS) as server:
        truth = Truth(server)
        async with read(db, server) as held:
            before = {collection: dict(truth(collection)).keys() for collection in KEPT}
            place = next(iter(server.world.repositories.values()))
            server.world.rename(place.id, "water-wheel")
            place.off |= {"issue", "tag"}
            await compare(held)
            for collection in KEPT:
                assert (await held.copy(collection)).keys() == before[collection]


async def test_what_is_gone_from_a_renamed_repository_is_asked_for_under_its_present_name(db: Database) -> None:
    async with GithubServer(COUNTS) as server:
        world, truth = server.world, Truth(server)
        async with read(db, server) as held:
            place = next(iter(world.repositories.values()))
            key, issue = next((k, t) for k, t in place.things["issue"].items() if "pull_request" not in t.data)
            world.rename(place.id, "water-wheel")
            world.delete("issue", key, place.id)
            await compare(held)
            assert (await held.copy("github:issue")).keys() == dict(truth("github:issue")).keys()
            assert f"/repos/{place.full_name}/issues/{issue.data['number']}" in {each.path for each in server.log}
