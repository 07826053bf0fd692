"""GitHub's server has GitHub's manners: pages, validators, limits, tokens, renames, in GitHub's own words."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import islice

import httpx2
import jsonschema
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from headrace.providers.github import GITHUB
from headrace.providers.kit import Collection
from headrace.providers.kit.jwt import rs256
from headrace.testing.faults import Fault
from headrace.testing.github import GithubServer, Truth
from headrace.testing.github.webhooks import signature

TOKEN = {"Authorization": "Bearer ghp_headraceTests"}


@pytest.fixture
async def server() -> AsyncIterator[GithubServer]:
    async with GithubServer(800) as started:
        yield started


@pytest.fixture
async def client(server: GithubServer) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.base_url, headers=TOKEN) as made:
        yield made


def wheel(server: GithubServer) -> str:
    return f"/repos/{next(iter(server.world.repositories.values())).full_name}"


async def test_pages_lead_to_each_other_by_another_path(server: GithubServer, client: httpx2.AsyncClient) -> None:
    seen, url, paths = [], f"{wheel(server)}/issues?state=all&per_page=20", set()
    while url:
        answer = await client.get(url)
        seen += [row["id"] for row in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
        paths.add(answer.url.path)
    place = next(iter(server.world.repositories.values()))
    assert len(seen) == len(set(seen)) == len(place.things["issue"]) > 40
    assert paths == {f"{wheel(server)}/issues", f"/repositories/{place.id}/issues"}


async def test_an_answer_that_has_not_changed_is_304_and_costs_nothing(client: httpx2.AsyncClient) -> None:
    async with GithubServer(200, limits="real") as server:
        url = f"{server.base_url}{wheel(server)}/labels"
        first = await client.get(url)
        again = await client.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"] == "4999"
        place = next(iter(server.world.repositories.values()))
        server.world.create("label", place.id)
        changed = await client.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert changed.status_code == 200
        assert changed.headers["x-ratelimit-remaining"] == "4998"


async def test_limits_are_told_in_both_forms(server: GithubServer, client: httpx2.AsyncClient) -> None:
    server.faults.add("rate_limited", times=1, status=403)
    primary = await client.get(wheel(server))
    assert primary.status_code == 403
    assert primary.headers["x-ratelimit-remaining"] == "0"
    assert int(primary.headers["x-ratelimit-reset"]) > server.clock.now()
    server.faults.add("secondary_limit", times=1, status=429, retry_after=7)
    secondary = await client.get(wheel(server))
    assert (secondary.status_code, secondary.headers["retry-after"]) == (429, "7")
    assert "secondary rate limit" in secondary.json()["message"]


async def test_nine_hundred_a_minute_are_let_through(client: httpx2.AsyncClient) -> None:
    async with GithubServer(50, limits="real") as server:
        statuses = [(await client.get(f"{server.base_url}/user")).status_code for _ in range(905)]
    assert statuses == [200] * 900 + [403] * 5


async def test_requests_without_an_agent_or_a_token_are_refused(
    server: GithubServer, client: httpx2.AsyncClient
) -> None:
    assert (await client.get("/user", headers={"Authorization": "Bearer nothing"})).status_code == 401
    server.revoked.add("ghp_headraceTests")
    assert (await client.get("/user")).json()["message"] == "Bad credentials"
    del client.headers["User-Agent"]
    assert (await client.get("/user")).status_code == 403


async def test_an_installation_sees_what_the_app_is_installed_on(
    server: GithubServer, client: httpx2.AsyncClient
) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    now = int(datetime.now(UTC).timestamp())
    path = "/app/installations/4711/access_tokens"
    stale = rs256(key.decode(), {"iss": "1", "iat": now - 900, "exp": now - 300})
    refused = await client.post(path, headers={"Authorization": f"Bearer {stale}"})
    assert refused.status_code == 401
    assert "'exp'" in refused.json()["message"]
    statement = rs256(key.decode(), {"iss": "1", "iat": now - 60, "exp": now + 540})
    minted = await client.post(path, headers={"Authorization": f"Bearer {statement}"})
    assert minted.status_code == 201
    headers = {"Authorization": f"Bearer {minted.json()['token']}"}
    one, other = server.world.repositories.values()
    other.installed = False
    seen = (await client.get("/installation/repositories", headers=headers)).json()
    assert [row["id"] for row in seen["repositories"]] == [one.id]
    assert (await client.get(f"/repos/{other.full_name}/issues", headers=headers)).status_code == 404
    assert (await client.get("/user/repos", headers=headers)).status_code == 403


async def test_a_former_name_leads_to_the_repository(server: GithubServer, client: httpx2.AsyncClient) -> None:
    place = next(iter(server.world.repositories.values()))
    former = place.full_name
    server.world.rename(place.id, "sluice", owner="the-bakery")
    moved = await client.get(f"/repos/{former}/labels?per_page=3")
    assert moved.status_code == 301
    assert moved.headers["location"] == f"{server.base_url}/repositories/{place.id}/labels?per_page=3"
    there = await client.get(moved.headers["location"])
    assert "the-bakery/sluice" in there.json()[0]["url"]


async def test_since_is_in_whole_seconds_and_includes_them(server: GithubServer, client: httpx2.AsyncClient) -> None:
    place = next(iter(server.world.repositories.values()))
    newest = max(place.things["issue"].values(), key=lambda thing: thing.changed)
    query = {"state": "all", "since": newest.data["updated_at"]}
    rows = (await client.get(f"{wheel(server)}/issues", params=query)).json()
    assert newest.data["number"] in [row["number"] for row in rows]
    assert (await client.get(f"{wheel(server)}/issues", params={"since": "soon"})).status_code == 422


async def test_a_search_by_birth_shows_a_thousand_at_the_most(client: httpx2.AsyncClient) -> None:
    async with GithubServer({"workflow_run": 1_100}, repositories=1) as server:
        query = {"created": "<=2100-01-01", "per_page": "100", "page": "10"}
        last = await client.get(f"{server.base_url}{wheel(server)}/actions/runs", params=query)
        assert (len(last.json()["workflow_runs"]), "next" in last.links) == (100, False)


async def test_repositories_without_commits_or_issues_say_so(server: GithubServer, client: httpx2.AsyncClient) -> None:
    empty = server.world.add_repository("empty")
    empty.data["has_issues"] = False
    assert (await client.get(f"/repos/{empty.full_name}/commits")).status_code == 409
    assert (await client.get(f"/repos/{empty.full_name}/issues")).status_code == 410


@pytest.mark.parametrize("collection", GITHUB.collections, ids=lambda each: each.name)
async def test_its_objects_are_as_github_describes_them(server: GithubServer, collection: Collection) -> None:
    schema = dict(collection.schema())
    check = jsonschema.Draft202012Validator(schema)
    for _, raw in islice(Truth(server)(collection.id), 3):
        shown = orjson.loads(raw)
        check.validate(shown)
        assert shown.keys() <= schema["properties"].keys()


async def test_a_webhook_is_signed(server: GithubServer, client: httpx2.AsyncClient) -> None:
    assert signature("It's a Secret to Everybody", b"Hello, World!") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )
    made = await client.post(f"{wheel(server)}/hooks", json={"config": {"url": "http://127.0.0.1:9/", "secret": "s"}})
    assert made.status_code == 201


def test_a_collection_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no collection 'wheels' here"):
        GithubServer({"wheels": 3})


async def test_the_number_of_records_is_the_number_asked_for() -> None:
    async with GithubServer(1_000, faults=[Fault("unknown_field")]) as server:
        made = sum(
            len(things)
            for place in [server.world.own, *server.world.repositories.values()]
            for things in place.things.values()
        )
    assert made == 1_000
