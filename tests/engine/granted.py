"""What the tests of tokens share: an airtable_oauth2 credential at an authorisation server, and who asks for its token.

As a program it is one of several processes that want the token: `granted.py DSN KEY URL ORG CREDENTIAL ROUNDS AHEAD_S`
prints `ready`, waits for a line, asks ROUNDS times, each time refusing the token that it was given before, and prints
what it got. AHEAD_S is how far its clock is ahead: past the turn of a process that died.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from headrace.clock import steady
from headrace.control import orgs
from headrace.db.pool import Database
from headrace.engine.access import Access, load_access
from headrace.engine.exchanges import Exchanges
from headrace.engine.tokens import Tokens
from headrace.engine.wire import Wire
from headrace.providers.airtable import AIRTABLE
from headrace.providers.airtable.access import OAUTH2
from headrace.settings import Settings
from headrace.testing.oauth import AuthorizationServer
from headrace.vault import credentials, oauth_apps
from headrace.vault.credentials import Credential
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.grants import ACCESS_TOKEN
from headrace.vault.keys import Keyring
from headrace.vault.kinds import Account
from headrace.vault.master import parse

PROVIDERS = {"airtable": AIRTABLE}
SETTINGS = Settings(allow_base_url=True)


@dataclass
class Asker:
    """One who wants tokens: what a process has of its own."""

    db: Database
    keyring: Keyring
    wire: Wire
    tokens: Tokens

    async def load(self, org_id: UUID, credential_id: UUID) -> Access:
        async with self.db.api.acquire() as conn:
            held = await credentials.get(conn, org_id, credential_id)
            return await load_access(conn, self.keyring, PROVIDERS, held, SETTINGS)

    async def token(self, org_id: UUID, credential_id: UUID, refused: str | None = None) -> str:
        ready = await self.tokens.ready(await self.load(org_id, credential_id), refused=refused)
        token: str = ready.properties[ACCESS_TOKEN]
        return token


@asynccontextmanager
async def asker(db: Database, key: str) -> AsyncIterator[Asker]:
    keyring = Keyring(parse(key, "the test"))
    async with db.api.acquire() as conn:
        await keyring.check(conn)
    wire = Wire()
    made = Asker(db, keyring, wire, Tokens(db, keyring, Exchanges(wire, db.clock, SETTINGS)))
    try:
        yield made
    finally:
        await made.tokens.close()
        await wire.close()


async def granted(asking: Asker, server: AuthorizationServer) -> Credential:
    """A credential that holds the first refresh token of a new consent."""
    family = server.grants.consent("usr1")
    properties = {"refresh_token": family.live, "airtable_uid": "usr1", "base_url": server.url}
    async with asking.db.transaction() as conn:
        now = asking.db.clock.now()
        org = await orgs.create(conn, "an org", now)
        app = await oauth_apps.create(
            conn, asking.keyring, org.org_id, provider="airtable", name="app", client_id=server.client_id,
            secrets={"client_secret": server.client_secret}, redirect_uris=(), properties={}, metadata="{}", now=now,
        )  # fmt: skip
        draft = Draft("airtable", OAUTH2, properties, oauth_app_id=app.id)
        return await credentials.import_(conn, asking.keyring, org.org_id, draft, Verdict(Account("usr1")), now)


async def held_grant(asking: Asker, credential: Credential) -> str:
    """The refresh token that the vault holds now."""
    async with asking.db.api.acquire() as conn:
        held = await credentials.get(conn, credential.org_id, credential.id)
        opened = await credentials.open_properties(conn, asking.keyring, held)
    token: str = opened["refresh_token"]
    return token


def set_ahead(db: Database, seconds: float) -> None:
    """Let the clock of this pool be ahead of the database's."""
    now = steady()
    db.clock.learn(db.clock.now() + timedelta(seconds=seconds), now, now)


async def _ask(dsn: str, key: str, org_id: str, credential_id: str, rounds: int, ahead_s: float) -> None:
    db = await Database.open(dsn, api_size=3, ingest_size=1)
    set_ahead(db, ahead_s)
    try:
        async with asker(db, key) as asking:
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            got: list[str] = []
            for _ in range(rounds):
                refused = got[-1] if got else None
                got.append(await asking.token(UUID(org_id), UUID(credential_id), refused))
            print(" ".join(got), flush=True)
    finally:
        await db.close()


if __name__ == "__main__":
    asyncio.run(_ask(*sys.argv[1:5], rounds=int(sys.argv[5]), ahead_s=float(sys.argv[6])))
