"""Complaint 20: to host it oneself takes four processors, sixteen gigabytes and Kubernetes."""

from pathlib import Path

from processes import complete, differences, start_sync
from resident import resident_mb, told

from headrace.client import AsyncClient
from headrace.testing.processes import ServeProcess
from headrace.testing.stripe import StripeServer


@told
async def test_one_command_and_a_folder_are_enough(tmp_path: Path) -> None:
    settings = {"limits_override": "none"}
    async with StripeServer(500) as provider, ServeProcess(data_dir=tmp_path / "data", settings=settings) as server:
        await server.ready()
        async with AsyncClient(server.url, server.token) as api:
            sync = await start_sync(api, provider.base_url)
            await complete(api, sync)
            await api.syncs.wait(sync["id"], "head", 60_000)
            assert await differences(api, sync, provider) == {}
        assert resident_mb(server.pid) < 250
        assert await server.stop() == 0
