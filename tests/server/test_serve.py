"""`headrace serve` as a process: it starts on what it is given, makes the first things once, stops in order."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import asyncpg
import httpx2
import pytest
from processes import complete, differences, empty_database, start_sync

from headrace.client import AsyncClient, Unauthorized
from headrace.testing.processes import CommandProcess, ServeProcess
from headrace.testing.stripe import StripeServer


async def test_the_embedded_database_starts_with_it_and_keeps_what_it_holds(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with ServeProcess(data_dir=data_dir) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            await api.streams.create(slug="kept")
        assert await server.stop() == 0
    async with ServeProcess(data_dir=data_dir) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            assert [each["slug"] async for each in api.streams.list()] == ["kept"]
        assert await server.stop() == 0


async def test_the_first_start_makes_one_token_and_prints_it_once(tmp_path: Path) -> None:
    environment = {"HEADRACE_DATA_DIR": str(tmp_path / "data")}
    async with CommandProcess("serve", "--port", "0", env=environment) as server:
        line = await server.line("export HEADRACE_API_TOKEN=")
        url = json.loads(await server.line('"event":"serving"'))["url"]
        token = line.partition("=")[2].strip()
        async with AsyncClient(url, token) as api:
            await api.streams.create(slug="mine")
        await server.stop()
        assert sum(token in each for each in server.lines) == 1
    async with CommandProcess("serve", "--port", "0", env=environment) as server:
        await server.line('"event":"serving"')
        await server.stop()
        assert not any("HEADRACE_API_TOKEN" in each for each in server.lines)


async def test_processes_that_start_at_once_migrate_once_and_make_one_organisation(template_url: str) -> None:
    async with empty_database(template_url) as url:
        servers = [ServeProcess(database_url=url) for _ in range(3)]
        try:
            await asyncio.gather(*(server.start() for server in servers))
            await asyncio.gather(*(server.ready() for server in servers))
            conn = await asyncpg.connect(url)
            assert await conn.fetchval("select count(*) from orgs") == 1
            assert await conn.fetchval("select count(*) from api_tokens") == 1
            await conn.close()
            for server in servers:
                async with AsyncClient(server.url, server.token) as api:
                    assert [each async for each in api.streams.list()] == []
        finally:
            await asyncio.gather(*(server.kill() for server in servers))


async def test_a_page_that_follows_is_ended_in_order_with_the_process(dsn: str) -> None:
    async with ServeProcess(database_url=dsn) as server:
        await server.ready()
        async with httpx2.AsyncClient(base_url=server.url) as browser:
            await browser.post("/login", data={"token": server.token})
            async with browser.stream("GET", "/live") as events:
                lines = events.aiter_lines()
                await anext(lines)
                server.signal(signal.SIGTERM)
                async with asyncio.timeout(60):
                    _ = [line async for line in lines]  # to its end, which is none of a connection that broke
                    assert await server.ended() == 0
        assert not any("Traceback" in line for line in server.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_in_order_while_syncs_run_and_readers_wait(dsn: str, number: signal.Signals) -> None:
    async with StripeServer(2000, changes_per_s=50) as provider, ServeProcess(database_url=dsn) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            sync = await start_sync(api, provider.base_url)
            consumer = await api.consumers.create(stream_id=sync["stream_id"], name="c", filters={"provider": "none"})
            waiting = asyncio.create_task(api.consumers.next(consumer["id"], 1, 60_000))
            await complete(api, sync)
            server.signal(number)
            # Five seconds are promised; the rest is for a machine that does other things.
            async with asyncio.timeout(60):
                assert await server.ended() == 0
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert any('"event":"stopped"' in line for line in server.lines)
        assert not any("not_stopped_in_order" in line for line in server.lines)
        assert not any("Traceback" in line for line in server.lines)
        conn = await asyncpg.connect(dsn)
        assert await conn.fetchval("select count(*) from sync_epochs where owner is not null") == 0
        await conn.close()


async def test_a_port_that_is_taken_is_told_in_a_line(dsn: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with ServeProcess(database_url=dsn, port=port) as server:
            line = await server.line("headrace: Cannot listen")
            assert f"127.0.0.1:{port}" in line
            assert await server.ended() == 1
            assert not any("Traceback" in each for each in server.lines)


async def test_an_external_database_without_a_master_key_is_refused(dsn: str) -> None:
    environment = {"HEADRACE_DATABASE_URL": dsn}
    async with CommandProcess("serve", "--port", "0", env=environment) as server:
        assert "headrace keys generate" in await server.line("headrace: HEADRACE_SECRET_KEY is not set")
        assert await server.ended() == 1


async def test_a_setting_that_cannot_be_is_told_without_its_value(tmp_path: Path) -> None:
    for name in ("port", "limits_override"):
        environment = {f"HEADRACE_{name.upper()}": "sk_live_in_the_wrong_place", "HEADRACE_DATA_DIR": str(tmp_path)}
        async with CommandProcess("serve", env=environment) as server:
            await server.line(f"headrace: a setting does not hold: {name}")
            assert await server.ended() == 1
            assert not any("sk_live" in each for each in server.lines)


async def test_roles_part_the_work(dsn: str) -> None:
    """The api process answers and reads nothing; the worker reads and answers only how it is."""
    async with (
        StripeServer(300) as provider,
        ServeProcess(database_url=dsn, role="api") as front,
        ServeProcess(database_url=dsn, role="worker") as back,
    ):
        await asyncio.gather(front.ready(), back.ready())
        async with AsyncClient(front.url, front.token) as api, httpx2.AsyncClient() as http:
            sync = await start_sync(api, provider.base_url)
            await complete(api, sync)
            assert await differences(api, sync, provider) == {}
            ready = (await http.get(f"{back.url}/ready")).json()
            assert ready["role"] == "worker"
            assert ready["engine"] is not None
            assert (await http.get(f"{front.url}/ready")).json()["engine"] is None
            assert (await http.get(f"{back.url}/metrics")).status_code == 200
            answer = await http.get(f"{back.url}/v1/syncs", headers={"Authorization": f"Bearer {back.token}"})
            assert answer.status_code == 404


async def test_a_token_given_later_is_added_and_a_wrong_one_is_refused(dsn: str) -> None:
    for token in ("hr_first", "hr_second"):
        async with ServeProcess(database_url=dsn, token=token) as server:
            await server.ready()
            for known in {"hr_first", token}:
                async with AsyncClient(server.url, known) as api:
                    assert [each async for each in api.streams.list()] == []
            async with AsyncClient(server.url, "hr_wrong") as api:
                with pytest.raises(Unauthorized):
                    _ = [each async for each in api.streams.list()]
            await server.stop()
