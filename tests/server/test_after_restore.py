"""After the database was restored from a backup: no number is given out twice, old ack tokens do nothing, and the copy
becomes equal to the provider again, deletes included."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from processes import complete, copy_of_database, differences, eventually, start_sync

from headrace.client import ApiError, AsyncClient, Sync
from headrace.testing.processes import CommandProcess, ServeProcess
from headrace.testing.stripe import StripeServer

KEY = "0" * 64


@asynccontextmanager
async def served(url: str) -> AsyncIterator[AsyncClient]:
    async with ServeProcess(database_url=url, secret_key=KEY) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            yield api
        assert await server.stop() == 0


async def doctored(url: str) -> CommandProcess:
    """`headrace doctor --after-restore`, run to its end."""
    command = CommandProcess(
        "doctor", "--after-restore", env={"HEADRACE_DATABASE_URL": url, "HEADRACE_SECRET_KEY": KEY}
    )
    await command.start()
    await command.ended()
    return command


async def test_a_restored_database_goes_on_where_no_reader_is_misled(dsn: str) -> None:
    async with StripeServer(400) as provider:
        account = provider.account
        async with served(dsn) as api:
            sync = await start_sync(api, provider.base_url)
            consumer = await api.consumers.create(stream_id=sync["stream_id"], name="c", ack_wait_ms=600_000)
            await complete(api, sync)
        async with copy_of_database(dsn) as backup:
            gone = next(iter(account.ids("products")))
            async with served(dsn) as api:
                account.update("customers", next(iter(account.ids("customers"))), {"name": "Changed since"})
                account.delete("products", gone)
                await eventually(lambda: _equal(api, sync, provider))
                last = [r async for r in api.records.list(sync_id=sync["id"], limit=1000)][-1]["updated_idx"]
                token = (await api.consumers.next(consumer["id"]))["data"][0]["ack_token"]

            assert (await doctored(backup)).returncode == 0
            async with served(backup) as api:
                with pytest.raises(ApiError) as refused:
                    await api.consumers.ack(consumer["id"], [token])
                assert refused.value.status == 400
                await eventually(lambda: _equal(api, sync, provider))
                changed = account.update("customers", next(iter(account.ids("customers"))), {"name": "After"})
                await api.syncs.wait(sync["id"], "head", 300_000)
                found = [r async for r in api.records.list(sync_id=sync["id"], upstream_id=changed["id"])]
                assert found[0]["data"]["name"] == "After"
                assert found[0]["updated_idx"] > last


async def test_it_refuses_while_a_worker_is_alive(dsn: str) -> None:
    async with served(dsn):
        refused = await doctored(dsn)
        assert refused.returncode == 1
        assert any("Stop every one of them first" in line for line in refused.lines)


async def _equal(api: AsyncClient, sync: Sync, provider: StripeServer) -> bool:
    return await differences(api, sync, provider) == {}
