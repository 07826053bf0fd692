"""The reviews of a pull request that could not be read are tried again, whether the pull requests are kept or not."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import pytest
from holding import Holding, holding_at

from headrace.db.pool import Database
from headrace.http import Request, Response
from headrace.providers.github import GITHUB
from headrace.providers.github.access import TOKEN
from headrace.providers.kit import EVERYTHING, Context, Faulted, Item, Record, Unread
from headrace.providers.kit.checks import walk
from headrace.testing.github import GithubServer, Truth

PROPERTIES = {"token": "ghp_headraceTests"}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({"base_url": "http://here"}, NOW, frozenset(c.id for c in GITHUB.collections), "7/the-mill/wheel")


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


async def test_a_pull_request_whose_reviews_are_refused_is_set_aside_and_the_others_are_read(db: Database) -> None:
    async with GithubServer({"pull_request": 6}) as server:
        world, truth = server.world, Truth(server)
        pulls = list(world.all("pull_request"))
        for place, key, _ in pulls:
            world.create("review", place.id, key)
        _, refused, pull = pulls[2]
        server.faults.add("forbidden", path=f"*/pulls/{pull.data['number']}/reviews")
        kept = ["github:pull_request", "github:review"]
        async with holding_at(db, server.base_url, kept, GITHUB, TOKEN, PROPERTIES) as held:
            await held.start()
            await held.read_to_the_end()
            all_of_them = dict(truth("github:review")).keys()
            missing = all_of_them - (await held.copy("github:review")).keys()
            assert 0 < len(missing) < len(all_of_them)
            assert await aside(held) == 1, f"that of {refused}"

            server.faults.clear("forbidden")
            await held.stop()
            await db.api.execute("update set_aside set retry_at = $1", db.clock.now())
            await held.start()

            async def there() -> bool:
                copy: dict[str, object] = await held.copy("github:review")
                return copy.keys() == all_of_them

            await held.until(there)

            await held.stop()
            server.faults.add("forbidden", path=f"*/pulls/{pull.data['number']}/reviews*")
            await held.sweep_now("github:review")
            await held.start()

            async def swept() -> bool:
                return (await held.collections())["github:review"]["last_sweep_completed_at"] is not None

            await held.until(swept)
            assert (await held.copy("github:review")).keys() == all_of_them, "what may not be seen is not gone"


def pulls_with(statuses: list[int]) -> Callable[[Request], Response]:
    """Pull requests, the lists of whose reviews are answered with these statuses, in turn."""
    at = "2026-11-20T00:00:00Z"

    def serve(request: Request) -> Response:
        if not request.url.endswith("/reviews"):
            url = "http://x/repos/the-mill/wheel/pulls"
            rows = [
                {"id": n, "number": n, "url": f"{url}/{n}", "created_at": at, "updated_at": at}
                for n in range(len(statuses))
            ]
            return Response(200, orjson.dumps(rows), NOW, {}, url)
        number = int(request.url.split("/")[-2])
        if statuses[number] >= 300:
            return Response(statuses[number], b'{"message": "no"}', NOW, {}, request.url)
        return Response(200, orjson.dumps([{"id": 100 + number, "submitted_at": at}]), NOW, {}, request.url)

    return serve


def reviews(statuses: list[int]) -> list[Item]:
    collection = GITHUB.collection("github:review")
    assert collection is not None
    assert collection.listing is not None
    return [
        item for page in walk(collection.listing.page, CTX, EVERYTHING, pulls_with(statuses)) for item in page.items
    ]


@pytest.mark.parametrize("status", [403, 409, 451])
def test_a_refused_parent_is_told_as_such_among_others(status: int) -> None:
    statuses = [200, status, *[200] * 30, status]
    found = reviews(statuses)
    assert {item.parent for item in found if isinstance(item, Unread)} == {"1", "32"}
    assert len([item for item in found if isinstance(item, Record)]) == 31


def test_where_every_list_is_refused_a_permission_is_missing() -> None:
    with pytest.raises(Faulted) as raised:
        reviews([403, 403, 403])
    assert raised.value.fault.kind == "permission"


def test_a_list_refused_for_too_many_requests_is_no_refusal_of_the_parent() -> None:
    with pytest.raises(Faulted) as raised:
        reviews([200, 429])
    assert raised.value.fault.kind == "rate"
