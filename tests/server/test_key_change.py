"""The master key is changed, by the steps of docs/credentials.md, while processes of the step before go on; and a key
that is wrong or missing is told at start."""

import json
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from headrace.testing.processes import CommandProcess, ServeProcess

OLD, NEW = "1" * 64, "2" * 64
ADMIN = "hr_test_token"


async def ask(server: ServeProcess, method: str, path: str, body: Any = None, token: str = ADMIN) -> Any:
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        answer = await http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def keep(server: ServeProcess, token: str, secret: str) -> str:
    """Store a credential with this secret; its id."""
    given = {"properties": {"kind": "linear_key", "key": secret}}
    made: dict[str, str] = await ask(server, "POST", "/v1/credentials?verify=false", given, token)
    return made["id"]


async def opened(server: ServeProcess, token: str, credential_id: str) -> str:
    path = f"/v1/credentials/{credential_id}?truncate_secrets=false"
    secret: str = (await ask(server, "GET", path, token=token))["properties"]["key"]
    return secret


async def command(dsn: str, key: str, *arguments: str) -> str:
    """What `headrace` printed; it must have ended well."""
    env = {"HEADRACE_DATABASE_URL": dsn, "HEADRACE_SECRET_KEY": key}
    async with CommandProcess(*arguments, env=env) as process:
        assert await process.ended() == 0, process.lines
        return "\n".join(process.lines)


async def refused_at_start(dsn: str, key: str) -> str:
    """The line with which a process says that it does not start with this key."""
    async with ServeProcess(database_url=dsn, secret_key=key, role="api") as process:
        line = await process.line("headrace: ")
        assert await process.ended() == 1
        assert not any("Traceback" in each for each in process.lines)
        assert not any(each in "\n".join(process.lines) for each in (OLD, NEW))
        return line


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_master_key_is_changed_while_processes_of_each_step_work(dsn: str) -> None:
    async with AsyncExitStack() as stack:

        async def started(key: str) -> ServeProcess:
            server = ServeProcess(database_url=dsn, secret_key=key, role="api")
            await stack.enter_async_context(server)
            return await server.ready()

        held: list[tuple[str, str, str]] = []  # (token, credential, secret)

        async def work(*servers: ServeProcess) -> None:
            """Each makes an organisation with a secret, and each opens all that there are."""
            for server in servers:
                name = f"org{len(held)}"
                token = (await ask(server, "POST", "/v1/orgs", {"name": name}))["api_token"]
                held.append((token, await keep(server, token, f"secret-{name}"), f"secret-{name}"))
            for server in servers:
                for token, credential, secret in held:
                    assert await opened(server, token, credential) == secret

        before = await started(OLD)
        await work(before)
        assert "master key that was not given" in await refused_at_start(dsn, NEW)

        first = await started(f"{OLD},{NEW}")
        await work(before, first)
        second = await started(f"{NEW},{OLD}")
        await before.stop()  # the steps are taken one after the other, each with the processes of the one before
        await work(first, second)

        rows = json.loads(await command(dsn, f"{NEW},{OLD}", "keys", "status", "--json"))
        assert [row["removable"] for row in rows if not row["encrypts"]] == [False]
        await first.stop()
        assert "wrapped anew" in await command(dsn, f"{NEW},{OLD}", "keys", "rotate")
        await work(second)
        rows = json.loads(await command(dsn, f"{NEW},{OLD}", "keys", "status", "--json"))
        assert [(row["wraps"], row["removable"]) for row in rows if not row["encrypts"]] == [(0, True)]

        last = await started(NEW)
        await work(second, last)
        assert "HEADRACE_SECRET_KEY" in await refused_at_start(dsn, OLD)
