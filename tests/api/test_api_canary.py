"""A planted secret goes through every door of the API and turns up nowhere: not in rows, logs, answers or reprs."""

import base64
import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog
from callers import Caller
from key_owners import Accounts, accounts_server

from headrace import log
from headrace.api.services import Services
from headrace.db.pool import Database
from headrace.engine.access import load_access
from headrace.providers import installed
from headrace.vault import credentials, drafts
from headrace.vault.drafts import Kinds

CANARIES = (
    "CanaryOne4711x",
    "CanaryTwo4711x",
    "CanaryThree4711x",
    "CanaryFour4711x",
    "CanaryFive4711x",
    "CanarySix4711x",
)


def spellings(canary: str) -> Iterator[str]:
    """As it is, as PostgreSQL writes bytea, and in base64 at each of the three places where it may begin."""
    yield canary
    yield canary.encode().hex()
    for offset in range(3):
        yield base64.b64encode(b"\0" * offset + canary.encode()).decode()[4 if offset else 0 : -4]


def assert_absent(text: str, where: str) -> None:
    for canary in CANARIES:
        for spelling in spellings(canary):
            assert spelling not in text, f"{canary} is in {where}"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, from debug on."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    log.configure("json", "debug", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def accounts(services: Services) -> AsyncIterator[Accounts]:
    services.providers = {**services.providers, "stripe": installed()["stripe"]}
    async with accounts_server() as server:
        yield server


async def everything_stored(db: Database) -> dict[str, str]:
    """The text of every row of every table."""
    tables = await db.api.fetch("select tablename from pg_tables where schemaname = 'public'")
    assert len(tables) > 20
    stored: dict[str, str] = {}
    for table in tables:
        rows = await db.api.fetch(f'select t::text as text from "{table["tablename"]}" t')
        stored[table["tablename"]] = "\n".join(row["text"] for row in rows)
    return stored


async def walk_through_every_door(admin: Caller, accounts: Accounts) -> dict[str, Any]:
    """Plant the canaries; the answers in which none may stand."""
    one, two, three, four, five, six = CANARIES
    keyed = {"headers": {"Idempotency-Key": "k"}}
    body = {"properties": accounts.properties(f"sk_live_a_{one}")}
    made = await admin.ok("POST", "/v1/credentials", body, **keyed)
    path = f"/v1/credentials/{made['id']}"
    answers = {
        "made": made,
        "repeated": await admin.ok("POST", "/v1/credentials", body, **keyed),
        "renewed": await admin.ok("PATCH", path, {"properties": {"secret": f"sk_live_a_{two}"}}, **keyed),
        "refused": await admin.invalid(
            "POST", "/v1/credentials", {"properties": accounts.properties(f"sk_live_revoked_{three}")}, **keyed
        ),
        "wrong account": await admin.invalid("PATCH", path, {"properties": {"secret": f"sk_live_b_{three}"}}),
        "wrong form": await admin.invalid("POST", "/v1/credentials", {"properties": accounts.properties(three)}),
        "wrong type": await admin.invalid("PATCH", path, {"properties": {"secret": [three]}}),
        "user info": await admin.invalid(
            "POST", "/v1/credentials",
            {"properties": {"kind": "stripe_key", "secret": f"sk_{three}", "base_url": f"http://me:{three}@x/"}},
        ),
        "app": await admin.ok(
            "POST", "/v1/oauth-apps",
            {"provider": "stripe", "name": "a", "client_id": "c", "client_secret": four, "private_key": five}, **keyed,
        ),
        "list": await admin.ok("GET", "/v1/credentials"),
        "apps": await admin.ok("GET", "/v1/oauth-apps"),
    }  # fmt: skip
    accounts.down = True
    answers["unreachable"] = await admin.ok(
        "POST", "/v1/credentials", {"properties": accounts.properties(f"sk_live_c_{six}")}
    )
    answers["audit"] = await admin.ok("GET", "/v1/audit")
    return answers


async def test_a_planted_secret_turns_up_nowhere(
    admin: Caller, accounts: Accounts, services: Services, logged: io.StringIO
) -> None:
    answers = await walk_through_every_door(admin, accounts)
    for name, answer in answers.items():
        assert_absent(str(answer), f"the answer '{name}'")
    exported = await admin.ok("GET", f"/v1/credentials/{answers['made']['id']}?truncate_secrets=false")
    assert exported["properties"]["secret"] == f"sk_live_a_{CANARIES[1]}"

    for table, text in (await everything_stored(services.db)).items():
        assert_absent(text, f"table {table}")

    async with services.db.api.acquire() as conn:
        held = await credentials.list_(conn, admin.org_id, limit=10)
        for credential in held:
            access = await load_access(conn, services.keyring, services.providers, credential, services.settings)
            assert any(canary in access.properties["secret"] for canary in CANARIES)
            assert_absent(f"{credential!r} {access!r} {services!r}", "a repr")
    kinds = Kinds((provider.slug, provider.kinds) for provider in services.providers.values())
    draft = drafts.read(kinds, accounts.properties(f"sk_{CANARIES[0]}"), provider=None, allow_base_url=True)
    assert_absent(repr(draft), "the repr of a draft")

    lines = logged.getvalue()
    assert "/v1/credentials" in lines
    assert_absent(lines, "the log")


def test_the_test_would_see_a_secret_in_every_spelling() -> None:
    canary = CANARIES[0]
    for hidden in (
        f'{{"secret": "{canary}"}}',
        f"\\x00{canary.encode().hex()}ff",
        *(base64.b64encode(b"x" * n + canary.encode() + b"tail").decode() for n in range(6)),
    ):
        with pytest.raises(AssertionError):
            assert_absent(hidden, "a hiding place")
