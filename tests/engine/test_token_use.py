"""How requests come by their credential: a minted token, a new one when it is refused; and no other host sees it."""

import os
from collections.abc import AsyncIterator, Generator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from granted import PROVIDERS, SETTINGS, Asker, asker, granted
from paced import access, provider
from yarl import URL

from headrace.db.pool import Database
from headrace.engine.access import Access, reloader
from headrace.engine.credential_health import CredentialHealth
from headrace.engine.pace import Pace, Priority
from headrace.engine.transport import ReadFailed, Transport
from headrace.engine.wire import Answer
from headrace.http import Request, Response
from headrace.ids import uuid7
from headrace.settings import Settings
from headrace.testing.oauth import AuthorizationServer, authorization_server
from headrace.vault import credentials
from headrace.vault.credentials import Credential
from headrace.vault.drafts import Verdict


@pytest.fixture
async def asking(db: Database) -> AsyncIterator[Asker]:
    async with asker(db, os.urandom(32).hex()) as made:
        yield made


@pytest.fixture
async def transport(db: Database, asking: Asker) -> AsyncIterator[Transport]:
    settings = Settings(allow_base_url=True, limits_override="none")
    reload = reloader(db, asking.keyring, PROVIDERS, SETTINGS)
    made = Transport(db, Pace(db, uuid7(), settings), settings, reload=reload, keyring=asking.keyring)
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with authorization_server() as made:
        yield made


def ask(url: str) -> Generator[Request, Response, Response]:
    return (yield Request(url))


async def whoami(transport: Transport, who: Access) -> Any:
    return (await transport.run(who, None, ask("/v0/meta/whoami"), Priority.CHANGES)).json()


async def health(db: Database, held: Credential) -> tuple[str, int]:
    async with db.api.acquire() as conn:
        present = await credentials.get(conn, held.org_id, held.id)
    return present.health_status, len(present.health_notes)


async def test_a_request_carries_a_minted_token(
    transport: Transport, asking: Asker, server: AuthorizationServer
) -> None:
    held = await granted(asking, server)
    who = await asking.load(held.org_id, held.id)
    assert (await whoami(transport, who))["id"] == "usr1"
    assert (await whoami(transport, who))["id"] == "usr1"
    assert server.grants.minted == 1
    assert "access_token" not in who.public_properties()


async def test_a_token_that_is_refused_is_made_anew_once(
    db: Database, transport: Transport, asking: Asker, server: AuthorizationServer
) -> None:
    held = await granted(asking, server)
    who = await asking.load(held.org_id, held.id)
    await whoami(transport, who)
    server.grants.expire_access()
    assert (await whoami(transport, who))["id"] == "usr1"
    assert server.grants.minted == 2
    assert await health(db, held) == ("ok", 0)


async def test_a_credential_that_is_refused_says_so_and_is_well_again(
    db: Database, transport: Transport, asking: Asker, server: AuthorizationServer
) -> None:
    held = await granted(asking, server)
    who = await asking.load(held.org_id, held.id)
    await whoami(transport, who)
    server.grants.revoke(server.grants.families[0])
    with pytest.raises(ReadFailed) as refused:
        await whoami(transport, who)
    assert refused.value.fault.kind == "auth"
    assert await health(db, held) == ("error", 1)

    fresh = server.grants.consent("usr1")
    async with db.transaction() as conn:
        present = await credentials.get(conn, held.org_id, held.id)
        properties = {**who.properties, "refresh_token": fresh.live}
        verdict = Verdict(None, "warn", ("not asked yet",))
        await credentials.reauthorise(
            conn, asking.keyring, present, who.kind, properties, verdict, db.clock.now()
        )  # fmt: skip
    assert (await whoami(transport, who))["id"] == "usr1"
    assert await health(db, held) == ("ok", 0)


async def test_that_a_grant_ends_soon_is_not_unsaid_by_an_answer(
    db: Database, transport: Transport, asking: Asker, server: AuthorizationServer
) -> None:
    server.behaviour.grant_lives_s = 3 * 86_400
    held = await granted(asking, server)
    await whoami(transport, await asking.load(held.org_id, held.id))
    assert await health(db, held) == ("warn", 1)
    await whoami(transport, await asking.load(held.org_id, held.id))
    assert await health(db, held) == ("warn", 1)


async def test_an_end_that_answers_tell_of_is_warned_of_and_taken_back(
    db: Database, asking: Asker, server: AuthorizationServer
) -> None:
    held = await granted(asking, server)
    who = await asking.load(held.org_id, held.id)
    good, now = Response(200, b"{}", db.clock.now()), db.clock.now()
    for days, expected in ((30, ("ok", 0)), (3, ("warn", 1)), (90, ("ok", 0))):
        told = replace(who, kind=replace(who.kind, ends=partial(lambda end, _: end, now + timedelta(days=days))))
        in_each_process = [CredentialHealth(db), CredentialHealth(db)]
        for process in in_each_process:
            await process.worked(told, good, minted=False)
        assert await health(db, held) == expected
        who = await asking.load(held.org_id, held.id)


class Recorder:
    """Answers every request, and keeps where it went with which headers."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []

    async def send(self, request: Request, url: URL, *, private: bool) -> Answer:
        self.sent.append((str(url), {name.lower(): value for name, value in request.headers.items()}))
        if url.path == "/moved":
            return Answer(302, {"location": "https://files.example.com/there"}, b"")
        return Answer(200, {"content-type": "application/json"}, b"{}")

    async def close(self) -> None:
        return


async def test_a_credential_is_shown_to_its_own_origin_alone(db: Database) -> None:
    settings = Settings(limits_override="none")
    transport = Transport(db, Pace(db, uuid7(), settings), settings)
    recorder: Any = Recorder()
    transport._wire = recorder
    who = access(replace(provider(), hosts=("api.example.com", "files.example.com")))
    for url in ("/things", "https://api.example.com/next", "https://files.example.com/file", "/moved"):
        await transport.run(who, None, ask(url), Priority.CHANGES)
    shown = [(url, "authorization" in headers) for url, headers in recorder.sent]
    assert shown == [
        ("https://api.example.com/things", True),
        ("https://api.example.com/next", True),
        ("https://files.example.com/file", False),
        ("https://api.example.com/moved", True),
        ("https://files.example.com/there", False),
    ]
    await transport.close()
