"""API tokens and several processes on one database: what one of them takes back none of them takes any more, and a
limit is one for all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import httpx2
import pytest
from processes import eventually

from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer


@asynccontextmanager
async def serving(dsn: str, count: int) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """A client of each of so many processes, without a token."""
    servers = [ServeProcess(database_url=dsn, role="api") for _ in range(count)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        await asyncio.gather(*(server.ready() for server in servers))
        clients = [httpx2.AsyncClient(base_url=server.url, timeout=400) for server in servers]
        yield clients
        await asyncio.gather(*(client.aclose() for client in clients))
    finally:
        await asyncio.gather(*(server.kill() for server in servers))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


ADMIN = bearer("hr_test_token")


async def made(client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    answer = await client.post(path, json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.timeout(600)
async def test_a_revoked_token_is_refused_by_every_process_though_it_never_pauses(dsn: str) -> None:
    """What a process remembers of a token must not live on by being used, and a call that waits is refused too."""
    async with serving(dsn, 3) as clients, StripeServer(1) as provider:
        token = await made(clients[0], "/v1/api-tokens", {"name": "x", "scopes": ["read", "consume"]})
        stream = await made(clients[0], "/v1/streams", {"slug": "main"})
        consumer = await made(clients[0], "/v1/http-consumers", {"stream_id": stream["id"]})
        secret = {"kind": "stripe_key", "name": "a", "secret": "sk_test_a", "test": True, "base_url": provider.base_url}
        sync = await made(
            clients[0],
            "/v1/syncs",
            {
                "name": "never read",
                "provider": "stripe",
                "stream_id": stream["id"],
                "collection_ids": ["stripe:customer"],
                "credential": {"properties": secret},
            },
        )
        headers = bearer(token["token"])
        counts = [0] * len(clients)

        async def use(number: int) -> None:
            while (await clients[number].get("/v1/streams", headers=headers)).status_code == 200:
                counts[number] += 1

        waiting = asyncio.create_task(
            clients[2].get(f"/v1/http-consumers/{consumer['id']}/next?wait_for=300000", headers=headers)
        )

        catching_up = asyncio.create_task(
            clients[2].get(f"/v1/syncs/{sync['id']}/wait?timeout_ms=300000", headers=headers)
        )

        async def both_wait() -> bool:
            figures = (await clients[2].get("/metrics")).text.splitlines()
            return "headrace_http_requests_under_way 3.0" in figures  # this one is the third

        await eventually(both_wait)
        users = [asyncio.create_task(use(number)) for number in range(len(clients))]

        async def all_at_it() -> bool:
            return min(counts) > 3

        await eventually(all_at_it)
        assert not waiting.done()
        assert not catching_up.done()
        answer = await clients[0].delete(f"/v1/api-tokens/{token['id']}", headers=ADMIN)
        assert answer.status_code == 200
        async with asyncio.timeout(60):
            await asyncio.gather(*users)
            assert (await waiting).status_code == 401
            assert (await catching_up).status_code == 401
        for client in clients:
            assert (await client.get("/v1/streams", headers=headers)).status_code == 401


@pytest.mark.timeout(600)
async def test_a_limit_is_shared_by_the_processes(dsn: str) -> None:
    async with serving(dsn, 2) as clients:
        given = {"name": "x", "scopes": ["read"], "requests_per_minute": 6}
        headers = bearer((await made(clients[0], "/v1/api-tokens", given))["token"])
        began = monotonic()
        answers = [await client.get("/v1/streams", headers=headers) for client in clients for _ in range(10)]
        came_back = (monotonic() - began) * 6 / 60
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 429}
        assert 6 <= statuses.count(200) <= 6 + came_back
        assert int(answers[-1].headers["retry-after"]) >= 1
