"""Linear's server has Linear's manners: connections, the archive, complexity, limits told with status 400."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import jsonschema
import orjson
import pytest

from headrace.providers.kit import Collection
from headrace.providers.linear import LINEAR
from headrace.testing.linear import LinearServer, Truth

KEY = {"Authorization": "lin_api_headraceTests"}


@pytest.fixture
async def server() -> AsyncIterator[LinearServer]:
    async with LinearServer(300) as started:
        yield started


@pytest.fixture
async def client(server: LinearServer) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.base_url, headers=KEY) as made:
        yield made


async def ask(client: httpx2.AsyncClient, text: str, **variables: Any) -> httpx2.Response:
    return await client.post("/graphql", json={"query": text, "variables": variables})


async def test_a_connection_leads_on_by_the_id_of_its_last_object(
    server: LinearServer, client: httpx2.AsyncClient
) -> None:
    text = "query($a:String){issues(first:17,after:$a){nodes{id updatedAt} pageInfo{hasNextPage endCursor}}}"
    seen: list[str] = []
    cursor = None
    while True:
        found = (await ask(client, text, a=cursor)).json()["data"]["issues"]
        seen += [node["id"] for node in found["nodes"]]
        cursor = found["pageInfo"]["endCursor"]
        assert cursor == seen[-1]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen))
    assert set(seen) == set(server.world.things["issue"])


async def test_what_is_archived_is_shown_only_when_asked_for(server: LinearServer, client: httpx2.AsyncClient) -> None:
    issue = next(iter(server.world.things["issue"]))
    server.world.archive("issue", issue, trashed=True)
    for asked in ("false", "true"):
        text = f"{{issues(first:250,includeArchived:{asked}){{nodes{{id trashed}}}}}}"
        nodes = (await ask(client, text)).json()["data"]["issues"]["nodes"]
        assert ({"id": issue, "trashed": True} in nodes) == (asked == "true")


async def test_limits_are_told_with_400_and_a_reset_in_milliseconds(
    server: LinearServer, client: httpx2.AsyncClient
) -> None:
    server.faults.add("rate_limited", times=1, reset_s=30)
    answer = await ask(client, "{organization{id}}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "RATELIMITED"
    assert int(answer.headers["x-ratelimit-requests-reset"]) > server.clock.now() * 1000 + 20_000


async def test_complexity_is_counted_and_bounded(client: httpx2.AsyncClient) -> None:
    async with LinearServer(100, limits="real") as server:
        client.base_url = httpx2.URL(server.base_url)
        text = "{issues(first:10){nodes{id title state{id}} pageInfo{hasNextPage}}}"
        answer = await ask(client, text)
        spent = int(answer.headers["x-complexity"])
        assert spent > 10
        assert 0 <= 2_000_000 - int(answer.headers["x-ratelimit-complexity-remaining"]) - spent <= 1
        large = "query($first:Int!){issues(first:$first){nodes{" + "id " * 500 + "} pageInfo{hasNextPage}}}"
        refused = await ask(client, large, first=250)
        assert refused.status_code == 400


async def test_keys_open_it_and_revoked_ones_do_not(server: LinearServer, client: httpx2.AsyncClient) -> None:
    assert (await ask(client, "{organization{name}}")).json()["data"]["organization"]["name"] == "The Mill"
    server.revoked.add("lin_api_headraceTests")
    assert (await ask(client, "{organization{name}}")).status_code == 401


async def test_an_unknown_field_is_refused_in_graphqls_own_words(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "{issues{nodes{wheel}}}")
    assert answer.status_code == 400
    assert "Cannot query field" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("collection", LINEAR.collections, ids=lambda each: each.name)
async def test_its_objects_are_as_linear_describes_them(server: LinearServer, collection: Collection) -> None:
    check = jsonschema.Draft202012Validator(dict(collection.schema()))
    for _, raw in list(Truth(server)(collection.id))[:2]:
        check.validate(orjson.loads(raw))
