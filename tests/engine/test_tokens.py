"""Access tokens are made once at a time, over all processes; no refresh token is used twice, and none is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from granted import PROVIDERS, SETTINGS, Asker, asker, granted, held_grant, set_ahead

from headrace.db.pool import Database
from headrace.engine.exchanges import Exchanges
from headrace.engine.idle_grants import refresh_idle
from headrace.engine.pace import Pace
from headrace.engine.services import EngineServices
from headrace.engine.tokens import NoToken, Tokens, _outlook
from headrace.engine.transport import Transport
from headrace.ids import uuid7
from headrace.providers.airtable.access import OAUTH2
from headrace.settings import Settings
from headrace.stream.wake import Wakeups
from headrace.testing.oauth import AuthorizationServer, authorization_server
from headrace.vault import credentials, tokens
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.grants import ACCESS_TOKEN, Minted
from headrace.vault.kinds import Account
from headrace.vault.tokens import TURN

PAST_THE_TURN_S = TURN.total_seconds() + 1


@pytest.fixture
def key() -> str:
    return os.urandom(32).hex()


@pytest.fixture
async def asking(db: Database, key: str) -> AsyncIterator[Asker]:
    async with asker(db, key) as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with authorization_server() as made:
        yield made


async def health(asking: Asker, credential: credentials.Credential) -> tuple[str, tuple[str, ...]]:
    async with asking.db.api.acquire() as conn:
        held = await credentials.get(conn, credential.org_id, credential.id)
    return held.health_status, held.health_notes


class Process:
    """`granted.py` as a process of its own."""

    def __init__(self, dsn: str, key: str, held: credentials.Credential, rounds: int, ahead_s: float = 0) -> None:
        program = Path(__file__).parent / "granted.py"
        arguments = [dsn, key, str(held.org_id), str(held.id), str(rounds), str(ahead_s)]
        self._process = subprocess.Popen(
            [sys.executable, str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._out: Any = self._process.stdout
        self._in: Any = self._process.stdin

    async def is_ready(self) -> None:
        assert await asyncio.to_thread(self._out.readline) == "ready\n"

    def go(self) -> None:
        self._in.write("\n")
        self._in.flush()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def said(self) -> list[str]:
        out, _ = await asyncio.to_thread(self._process.communicate)
        assert self._process.returncode == 0
        return str(out.splitlines()[-1]).split()


# ── one at a time ──


async def test_requests_of_a_process_share_one_renewal(asking: Asker, server: AuthorizationServer) -> None:
    held = await granted(asking, server)
    got = await asyncio.gather(*(asking.token(held.org_id, held.id) for _ in range(20)))
    assert len(set(got)) == 1
    assert server.grants.minted == 1
    assert await held_grant(asking, held) == server.grants.families[0].live


async def test_processes_never_use_a_refresh_token_twice(
    dsn: str, key: str, asking: Asker, server: AuthorizationServer
) -> None:
    server.behaviour.revokes_on_reuse = True
    held = await granted(asking, server)
    processes = [Process(dsn, key, held, rounds=5) for _ in range(3)]
    for process in processes:
        await process.is_ready()
    for process in processes:
        process.go()
    got = [await process.said() for process in processes]

    assert all(count == 1 for count in server.grants.presented.values())
    assert {token for each in got for token in each} <= server.grants.access.keys()
    assert all(len(set(each)) == 5 for each in got)  # a token that was refused is not given again
    assert await held_grant(asking, held) == server.grants.families[0].live


async def test_who_is_killed_in_the_middle_holds_up_nobody_for_longer_than_a_turn(
    dsn: str, key: str, asking: Asker, server: AuthorizationServer
) -> None:
    server.behaviour.replays, server.behaviour.late_s = True, 60
    held = await granted(asking, server)
    first = Process(dsn, key, held, rounds=1)
    await first.is_ready()
    first.go()
    async with asyncio.timeout(60):
        while not server.grants.minted:
            await asyncio.sleep(0.01)
    first.kill()
    server.behaviour.late_s = 0
    second = Process(dsn, key, held, rounds=1, ahead_s=PAST_THE_TURN_S)
    await second.is_ready()
    second.go()
    (token,) = await second.said()
    assert token in server.grants.access
    assert all(count == 1 for count in server.grants.exchanged.values())
    assert await held_grant(asking, held) == server.grants.families[0].live


# ── ahead of the end ──


async def test_a_token_is_renewed_ahead_of_its_end(asking: Asker, server: AuthorizationServer) -> None:
    held = await granted(asking, server)
    first = await asking.token(held.org_id, held.id)
    set_ahead(asking.db, 3600 - 301)
    assert await asking.token(held.org_id, held.id) == first
    set_ahead(asking.db, 2)
    second = await asking.token(held.org_id, held.id)
    assert second != first
    assert server.grants.minted == 2


async def test_a_short_life_is_used_for_the_most_part(asking: Asker, server: AuthorizationServer) -> None:
    server.behaviour.lives_s = 10
    held = await granted(asking, server)
    first = await asking.token(held.org_id, held.id)
    set_ahead(asking.db, 7)
    assert await asking.token(held.org_id, held.id) == first
    set_ahead(asking.db, 2)
    assert await asking.token(held.org_id, held.id) != first


async def test_a_grant_that_would_die_unused_is_used_at_half_its_idle_life(
    db: Database, asking: Asker, server: AuthorizationServer
) -> None:
    held = await granted(asking, server)
    settings = Settings(allow_base_url=True)
    pace = Pace(db, uuid7(), settings)
    transport = Transport(db, pace, settings, keyring=asking.keyring)
    services = EngineServices(
        db, asking.keyring, PROVIDERS, settings, db.clock, Wakeups(db), transport, pace, uuid7()
    )  # fmt: skip
    assert await refresh_idle(services) == 0
    set_ahead(db, 30 * 86_400 + 1)
    assert await refresh_idle(services) == 1
    assert await refresh_idle(services) == 0
    assert server.grants.minted == 1
    assert await held_grant(asking, held) == server.grants.families[0].live
    await transport.close()


# ── answers that do not come ──


@pytest.mark.parametrize("replays", [True, False])
async def test_a_lost_answer_is_survived_where_the_provider_allows(
    replays: bool, asking: Asker, server: AuthorizationServer
) -> None:
    server.behaviour.replays, server.behaviour.drops = replays, 1
    held = await granted(asking, server)
    with pytest.raises(NoToken) as lost:
        await asking.token(held.org_id, held.id)
    assert lost.value.fault.kind == "transient"
    if replays:
        assert await asking.token(held.org_id, held.id) in server.grants.access
        assert await held_grant(asking, held) == server.grants.families[0].live
    else:
        with pytest.raises(NoToken) as refused:
            await asking.token(held.org_id, held.id)
        assert refused.value.fault.kind == "auth"
        assert "answer to a renewal before was lost" in refused.value.fault.message


async def test_a_server_that_is_down_costs_nothing(asking: Asker, server: AuthorizationServer) -> None:
    server.behaviour.fails = 1
    held = await granted(asking, server)
    with pytest.raises(NoToken) as down:
        await asking.token(held.org_id, held.id)
    assert down.value.fault.kind == "transient"
    assert await asking.token(held.org_id, held.id) in server.grants.access
    assert (await health(asking, held))[0] == "ok"


async def test_an_answer_is_stored_though_nobody_waits_for_it(asking: Asker, server: AuthorizationServer) -> None:
    server.behaviour.late_s = 0.2
    held = await granted(asking, server)
    wanting = asyncio.create_task(asking.token(held.org_id, held.id))
    async with asyncio.timeout(30):
        while not server.grants.minted:
            await asyncio.sleep(0.01)
    wanting.cancel()
    await asking.tokens.close()
    assert await held_grant(asking, held) == server.grants.families[0].live


# ── refusals ──


async def test_a_refusal_is_looked_at_once_more(asking: Asker, server: AuthorizationServer) -> None:
    server.behaviour.refuses = 1
    held = await granted(asking, server)
    assert await asking.token(held.org_id, held.id) in server.grants.access
    assert (await health(asking, held))[0] == "ok"


async def test_a_dead_grant_asks_for_a_person_and_is_not_hammered(asking: Asker, server: AuthorizationServer) -> None:
    held = await granted(asking, server)
    server.grants.revoke(server.grants.families[0])
    for _ in range(3):
        with pytest.raises(NoToken) as refused:
            await asking.token(held.org_id, held.id)
        assert refused.value.fault.kind == "auth"
    assert sum(server.grants.presented.values()) == 2
    status, notes = await health(asking, held)
    assert status == "error"
    assert "Connect the account again" in notes[0]

    set_ahead(asking.db, 61)  # a provider's bad day is over
    server.grants.families[0].revoked = False
    assert await asking.token(held.org_id, held.id) in server.grants.access
    assert await health(asking, held) == ("ok", ())


async def test_a_grant_that_ends_soon_says_so_ahead(asking: Asker, server: AuthorizationServer) -> None:
    server.behaviour.grant_lives_s = 3 * 86_400
    held = await granted(asking, server)
    first = await asking.token(held.org_id, held.id)
    status, notes = await health(asking, held)
    assert status == "warn"
    assert "connect the account again" in notes[0]
    server.behaviour.grant_lives_s = 90 * 86_400
    await asking.token(held.org_id, held.id, refused=first)
    assert await health(asking, held) == ("ok", ())


async def test_a_grant_that_lives_on_by_being_used_is_not_about_to_end(
    asking: Asker, server: AuthorizationServer
) -> None:
    """Airtable's unused grants die after 60 days, so they are never left for more than 30: seven days are soon. Of one
    that dies after a week, half of that is."""
    held = await granted(asking, server)
    access = await asking.load(held.org_id, held.id)
    token = await asking.tokens.ready(access)
    made = asking.tokens.kept(access)
    assert made is not None
    now = asking.db.clock.now()
    week = replace(access.kind, idle_life_s=7 * 86_400.0)
    for days, expected in ((6.9, "ok"), (3.6, "ok"), (3.4, "warn")):
        minted = Minted(token.properties["access_token"], grant_lives_s=days * 86_400)
        assert _outlook(access.provider, week, made, minted, now)[0] == expected
        assert _outlook(access.provider, access.kind, made, minted, now)[0] == "warn"


async def test_the_apps_refusal_is_the_apps(asking: Asker, server: AuthorizationServer) -> None:
    held = await granted(asking, server)
    server.client_secret = "another"
    with pytest.raises(NoToken) as refused:
        await asking.token(held.org_id, held.id)
    assert "OAuth app" in refused.value.fault.message
    assert not server.grants.presented


async def test_a_grant_given_meanwhile_takes_the_place_of_a_late_answer(
    db: Database, asking: Asker, server: AuthorizationServer
) -> None:
    held = await granted(asking, server)
    async with db.transaction() as conn:
        turn = await tokens.take_turn(conn, asking.keyring, OAUTH2, held.org_id, held.id, db.clock.now())
    assert isinstance(turn, tokens.Turn)
    _, answer = server.grants.refresh(str(turn.properties["refresh_token"]))

    fresh = server.grants.consent("usr1")
    properties = {**turn.properties, "refresh_token": fresh.live}
    async with db.transaction() as conn:
        draft = Draft("airtable", OAUTH2, properties, oauth_app_id=held.oauth_app_id)
        now = db.clock.now()
        again = await credentials.import_(conn, asking.keyring, held.org_id, draft, Verdict(Account("usr1")), now)
    assert again.id == held.id
    minted = Minted(answer["access_token"], 3600, {"refresh_token": answer["refresh_token"]})
    async with db.transaction() as conn:
        assert await tokens.keep(conn, asking.keyring, OAUTH2, turn, minted, db.clock.now()) is None
    assert await held_grant(asking, held) == fresh.live


async def test_the_answer_of_a_turn_that_ran_out_is_kept_while_it_is_the_only_one(
    db: Database, asking: Asker, server: AuthorizationServer
) -> None:
    held = await granted(asking, server)
    async with db.transaction() as conn:
        late = await tokens.take_turn(conn, asking.keyring, OAUTH2, held.org_id, held.id, db.clock.now())
    assert isinstance(late, tokens.Turn)
    _, answer = server.grants.refresh(str(late.properties["refresh_token"]))
    set_ahead(db, PAST_THE_TURN_S)
    async with db.transaction() as conn:
        other = await tokens.take_turn(conn, asking.keyring, OAUTH2, held.org_id, held.id, db.clock.now())
    assert isinstance(other, tokens.Turn)
    assert other.number > late.number
    assert other.again

    minted = Minted(answer["access_token"], 3600, {"refresh_token": answer["refresh_token"]})
    async with db.transaction() as conn:
        kept = await tokens.keep(conn, asking.keyring, OAUTH2, late, minted, db.clock.now())
    assert kept is not None
    assert await held_grant(asking, held) == server.grants.families[0].live
    async with db.transaction() as conn:  # the refusal that the other one got is of a grant that stands there no more
        assert await tokens.refuse(conn, asking.keyring, OAUTH2, other, "used already", db.clock.now()) is None
    assert await asking.token(held.org_id, held.id) == answer["access_token"]


# ── wherever it is cut short ──


class Cut(BaseException):
    """A process ends here."""


class Cutting:
    """Ends a renewal at its nth step: each statement of the database and each exchange, before and after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.steps = 0
        self._at = at
        for name in ("execute", "fetch", "fetchrow", "fetchval"):
            self._wrap(monkeypatch, "asyncpg.connection.Connection", name)
        self._wrap(monkeypatch, "asyncpg.transaction.Transaction", "commit")
        self._wrap(monkeypatch, "headrace.engine.wire.Wire", "send")

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, owner: str, name: str) -> None:
        module, _, kind = owner.rpartition(".")
        target = getattr(sys.modules[module], kind)
        inner = getattr(target, name)

        async def step(*args: Any, **options: Any) -> Any:
            self._step()
            result = await inner(*args, **options)
            self._step()
            return result

        monkeypatch.setattr(target, name, step)

    def _step(self) -> None:
        self.steps += 1
        if self.steps >= self._at:
            raise Cut


async def cut_at(n: int, dsn: str, key: str, held: credentials.Credential) -> bool:
    """Whether a renewal that ends at its nth step, as a process does that is killed, came so far."""
    async with AsyncExitStack() as stack:
        db = await Database.open(dsn, api_size=2, ingest_size=1)
        stack.callback(db.api.terminate)
        stack.callback(db.ingest.terminate)
        asking = await stack.enter_async_context(asker(db, key))
        access = await asking.load(held.org_id, held.id)
        with pytest.MonkeyPatch.context() as monkeypatch:
            cutting = Cutting(monkeypatch, n)
            try:
                await asking.tokens.ready(access)
            except (Cut, NoToken):
                return True
            return cutting.steps >= n
    raise AssertionError


@pytest.mark.parametrize("replays", [True, False])
async def test_a_renewal_cut_short_anywhere_loses_nothing(
    replays: bool, dsn: str, key: str, db: Database, asking: Asker, server: AuthorizationServer
) -> None:
    """With a provider that replays, never; else only where the answer was on its way and nobody could have it."""
    server.behaviour.replays = replays
    lost: list[int] = []
    n = 0
    while True:
        n += 1
        held = await granted(asking, server)
        family = server.grants.families[-1]
        if not await cut_at(n, dsn, key, held):
            break
        set_ahead(db, PAST_THE_TURN_S)
        try:
            assert await asking.token(held.org_id, held.id) in server.grants.access
            assert await held_grant(asking, held) == family.live
        except NoToken:
            assert await held_grant(asking, held) == family.tokens[0]
            assert len(family.tokens) == 2
            lost.append(n)
    assert n > 10
    assert all(count == 1 for count in server.grants.exchanged.values())
    if replays:
        assert not lost
    else:
        assert lost == list(range(lost[0], lost[0] + len(lost)))  # from the answer to the commit, and nowhere else


async def test_a_process_that_starts_takes_up_the_token_that_was_made(
    db: Database, asking: Asker, server: AuthorizationServer
) -> None:
    """Also where the credential was given with an access token, which has been replaced since."""
    held = await granted(asking, server)
    first = await asking.token(held.org_id, held.id)
    later = Tokens(db, asking.keyring, Exchanges(asking.wire, db.clock, SETTINGS))
    access = await asking.load(held.org_id, held.id)
    given = replace(access, properties={**access.properties, ACCESS_TOKEN: "given at the import"})
    assert (await later.ready(given)).properties[ACCESS_TOKEN] == first
    assert server.grants.minted == 1


async def test_one_that_was_given_is_used_until_it_is_refused(asking: Asker, server: AuthorizationServer) -> None:
    held = await granted(asking, server)
    access = await asking.load(held.org_id, held.id)
    given = replace(access, properties={**access.properties, ACCESS_TOKEN: "given at the import"})
    assert await asking.tokens.ready(given) == given
    assert server.grants.minted == 0
    renewed = await asking.tokens.ready(given, refused="given at the import")
    assert renewed.properties[ACCESS_TOKEN] in server.grants.access
