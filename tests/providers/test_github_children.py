"""The reviews of a pull request that could not be read are tried again, whether the pull requests are kept or not."""

import asyncio

import pytest
from holding import Holding, holding_at

from headrace.db.pool import Database
from headrace.providers.github import GITHUB
from headrace.providers.github.access import TOKEN
from headrace.testing.github import GithubServer, Truth

PROPERTIES = {"token": "ghp_headraceTests"}


async def aside(held: Holding) -> int:
    return int((await held.collections())["github:review"]["set_aside"])


@pytest.mark.parametrize("kept", [["github:pull_request", "github:review"], ["github:review"]], ids=["kept", "unkept"])
async def test_reviews_that_were_refused_once_are_read_again(db: Database, kept: list[str]) -> None:
    async with GithubServer({"pull_request": 6}) as server:
        world, truth = server.world, Truth(server)
        async with holding_at(db, server.base_url, kept, GITHUB, TOKEN, PROPERTIES) as held:
            await held.start()
            await held.read_to_the_end()
            place, key, pull = next(iter(world.all("pull_request")))
            server.faults.add("forbidden", path=f"*/pulls/{pull.data['number']}/reviews")
            world.create("review", place.id, key)

            async def refused() -> bool:
                return await aside(held) == 1

            await held.until(refused)
            server.faults.clear("forbidden")
            await held.stop()
            await db.api.execute("update set_aside set retry_at = $1", db.clock.now())
            await held.start()

            async def put_back() -> bool:
                return await aside(held) == 0

            await held.until(put_back)
            if len(kept) == 2:
                assert (await held.copy("github:review")).keys() == dict(truth("github:review")).keys()
                query = "select partition from records where sync_id = $1 and collection_id = 'github:review'"
                assert await db.api.fetchval(query, held.sync.id) == f"{place.id}/{place.full_name}"
            # It is followed from then on: a change of another second, which is as fine as the times are.
            while int(server.clock.now()) <= pull.changed:
                await asyncio.sleep(0.05)
            world.create("review", place.id, key)

            async def followed() -> bool:
                copy: dict[str, object] = await held.copy("github:review")
                return copy.keys() == dict(truth("github:review")).keys()

            await held.until(followed)
