"""Access tokens for requests: kept in the process, renewed ahead of their end, one renewal at a time everywhere.

`vault/tokens.py` says whose turn it is and keeps what comes; here the turns are taken. A renewal is a task of its own,
which the request that wanted it may be cancelled without: an answer that holds the only refresh token is always stored.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from headrace.db.pool import Database
from headrace.engine import metrics
from headrace.engine.access import Access
from headrace.engine.credential_health import SOON, Health, outlook
from headrace.engine.exchanges import MINT_S, Exchanges, Unanswered
from headrace.errors import HeadraceError, NotFound
from headrace.providers.kit import CredentialKind, Fault, Provider
from headrace.vault import credentials, oauth_apps, tokens
from headrace.vault.accounts import grant_mark
from headrace.vault.grants import ACCESS_TOKEN, App, GrantRefused, Minted
from headrace.vault.keys import Keyring
from headrace.vault.tokens import TURN, Dead, Taken, Token, Turn

log = structlog.get_logger(__name__)

Key = tuple[UUID, UUID]

_LOOK_S = 0.1
_PAUSE_S = 1.0
"""Between a refusal and the second try: long enough for another process's rotation to have settled at the provider."""
_MUST_BEGIN_S = TURN.total_seconds() - 2 * MINT_S - _PAUSE_S - 2.0
_PATIENCE_S = 2 * TURN.total_seconds()


class NoToken(HeadraceError):
    """There is no access token to be had now: `fault` says why and what to do."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Tokens:
    """One a process."""

    def __init__(self, db: Database, keyring: Keyring, exchanges: Exchanges) -> None:
        self._db = db
        self._clock = db.clock
        self._keyring = keyring
        self._exchanges = exchanges
        self._kept: dict[Key, Token] = {}
        self._as_given: dict[Key, int] = {}
        self._renewals: dict[Key, asyncio.Task[Token]] = {}

    async def close(self) -> None:
        """Wait for the renewals under way: what they bring must be stored."""
        while self._renewals:
            await asyncio.gather(*self._renewals.values(), return_exceptions=True)

    async def ready(self, access: Access, *, refused: str | None = None) -> Access:
        """The access with a token that is good by the clock; as it is, where its kind mints none.

        `refused` is a token that the provider does not take: another one is returned. Raises NoToken.
        """
        if not access.kind.mints(access.properties):
            return access
        key = (access.org_id, access.credential_id)
        kept = self._kept.get(key)
        if kept is None and access.properties.get(ACCESS_TOKEN):
            kept = await self._made(key, access)
            if kept is None and refused is None:
                return access  # the one it was given with: nobody knows when it ends
        if kept is None or not self._good(kept, access, refused):
            kept = await self._renewed(key, access, refused)
        return replace(access, properties={**kept.properties, ACCESS_TOKEN: kept.access_token})

    def _good(self, kept: Token, access: Access, refused: str | None) -> bool:
        current = kept.credential.revision >= access.revision and kept.access_token != refused
        return current and self._clock.now() < kept.renew_at

    async def _made(self, key: Key, access: Access) -> Token | None:
        """Of a credential that was given with an access token: the one that was made since, if any was. Asked of the
        database once for each state of the credential."""
        if self._as_given.get(key) == access.revision:
            return None
        async with self._db.api.acquire() as conn:
            made = await tokens.held(conn, self._keyring, *key)
        if made is None:
            self._as_given[key] = access.revision
        else:
            self._kept[key] = made
        return made

    def kept(self, access: Access) -> Token | None:
        """The token that `ready` last gave for this credential, with the properties that hold with it."""
        return self._kept.get((access.org_id, access.credential_id))

    async def _renewed(self, key: Key, access: Access, refused: str | None) -> Token:
        """Of the requests of this process that want the same token, one makes it."""
        task = self._renewals.get(key)
        if task is None:
            task = asyncio.create_task(self._renew(key, access.provider, access.kind, refused), name="renew_token")
            self._renewals[key] = task
            task.add_done_callback(lambda _: self._renewals.pop(key, None))
        token = await asyncio.shield(task)
        if token.access_token == refused:
            raise NoToken(Fault("auth", f"{access.provider.name} does not take the access token that it gave"))
        return token

    async def _renew(self, key: Key, provider: Provider, kind: CredentialKind, refused: str | None) -> Token:
        given_up_at = self._clock.monotonic() + _PATIENCE_S
        while self._clock.monotonic() < given_up_at:
            taken = await self._take_turn(key, kind, refused)
            got = await self._use(taken, provider, kind) if isinstance(taken, Turn) else taken
            match got:
                case Token():
                    self._kept[key] = got
                    return got
                case Dead():
                    self._kept.pop(key, None)
                    raise NoToken(Fault("auth", got.refusal))
                case Taken() | None:
                    await self._clock.sleep(_LOOK_S)
        raise NoToken(
            Fault("transient", f"another process has been renewing the token of {provider.name} for too long")
        )

    async def _take_turn(self, key: Key, kind: CredentialKind, refused: str | None) -> Token | Turn | Taken | Dead:
        marked = None if refused is None else tokens.token_mark(self._keyring, refused)
        try:
            async with self._db.transaction() as conn:
                return await tokens.take_turn(conn, self._keyring, kind, *key, self._clock.now(), refused=marked)
        except NotFound as gone:
            raise NoToken(Fault("config", gone.summary)) from None

    async def _use(self, turn: Turn, provider: Provider, kind: CredentialKind) -> Token | Dead | None:
        """Make the token. None: another grant stands there by now, or the turn came too late to be used."""
        taken_at = self._clock.monotonic()
        app = await self._app(turn)
        if self._clock.monotonic() > taken_at + _MUST_BEGIN_S:
            # This process slept: by now somebody else may be sending the same grant.
            await self._end(turn, unsent=True)
            return None
        try:
            minted = await self._exchanges.mint(provider, kind, turn.properties, app)
        except GrantRefused as refused:
            again = refused.whose == "grant" and self._clock.monotonic() < taken_at + _MUST_BEGIN_S + MINT_S
            return await (
                self._once_more(turn, provider, kind, app) if again else self._refuse(turn, kind, provider, refused)
            )
        except Unanswered as unanswered:
            await self._end(turn, unsent=unanswered.unsent)
            metrics.TOKENS.labels(provider.slug, "unanswered").inc()
            raise NoToken(unanswered.fault) from None
        return await self._keep(turn, provider, kind, minted)

    async def _once_more(
        self, turn: Turn, provider: Provider, kind: CredentialKind, app: App | None
    ) -> Token | Dead | None:
        """A refused grant is looked at again, since it may have been replaced, and sent once more, since providers
        refuse a good one now and then; after that a person is asked."""
        await self._clock.sleep(_PAUSE_S)
        async with self._db.api.acquire() as conn:
            try:
                held = await credentials.get(conn, turn.credential.org_id, turn.credential.id)
                properties = await credentials.open_properties(conn, self._keyring, held)
            except NotFound:
                return None
        if grant_mark(self._keyring, kind, properties) != turn.mark:
            await self._end(turn, unsent=True)
            return None
        try:
            minted = await self._exchanges.mint(provider, kind, properties, app)
        except GrantRefused as refused:
            return await self._refuse(turn, kind, provider, refused)
        except Unanswered as unanswered:
            await self._end(turn, unsent=unanswered.unsent)
            raise NoToken(unanswered.fault) from None
        return await self._keep(turn, provider, kind, minted)

    async def _keep(self, turn: Turn, provider: Provider, kind: CredentialKind, minted: Minted) -> Token | None:
        async with self._db.transaction() as conn:
            now = self._clock.now()
            token = await tokens.keep(conn, self._keyring, kind, turn, minted, now)
            if token is not None:
                status, notes = _outlook(provider, kind, token, minted, now)
                await credentials.set_health(conn, token.credential.org_id, token.credential.id, status, notes, now)
        metrics.TOKENS.labels(provider.slug, "made" if token is not None else "dropped").inc()
        log.info("token_made", provider=provider.slug, credential_id=str(turn.credential.id), kept=token is not None)
        return token

    async def _refuse(self, turn: Turn, kind: CredentialKind, provider: Provider, refused: GrantRefused) -> Dead | None:
        note = _asking_for_help(provider, kind, turn, refused)
        async with self._db.transaction() as conn:
            now = self._clock.now()
            dead = await tokens.refuse(conn, self._keyring, kind, turn, note, now)
            if dead is not None:
                held = turn.credential
                await credentials.set_health(conn, held.org_id, held.id, "error", (note,), now)
                if refused.whose == "app" and held.oauth_app_id is not None:
                    await oauth_apps.set_health(conn, held.org_id, held.oauth_app_id, "error", (note,), now)
        metrics.TOKENS.labels(provider.slug, "refused").inc()
        log.warning("token_refused", provider=provider.slug, credential_id=str(turn.credential.id), reason=str(refused))
        return dead

    async def _app(self, turn: Turn) -> App | None:
        held = turn.credential
        if held.oauth_app_id is None:
            return None
        async with self._db.api.acquire() as conn:
            return await oauth_apps.open_app(conn, self._keyring, held.org_id, held.oauth_app_id)

    async def _end(self, turn: Turn, *, unsent: bool) -> None:
        async with self._db.api.acquire() as conn:
            await tokens.end_turn(conn, turn, unsent=unsent)


def _outlook(provider: Provider, kind: CredentialKind, token: Token, minted: Minted, now: datetime) -> Health:
    """The health of a credential whose token was made. A grant that lives on by being used is never left alone for
    more than half of its idle life: one that has less than that left does end."""
    told = None if minted.grant_lives_s is None else now + timedelta(seconds=minted.grant_lives_s)
    written = kind.grant.ends(token.properties) if kind.grant is not None else None
    soon = SOON if kind.idle_life_s is None else min(SOON, timedelta(seconds=kind.idle_life_s / 2))
    return outlook(provider, min((each for each in (told, written) if each is not None), default=None), now, soon)


def _asking_for_help(provider: Provider, kind: CredentialKind, turn: Turn, refused: GrantRefused) -> str:
    """What a person is told to do."""
    if refused.whose == "app":
        return f"{provider.name} refuses the OAuth app ({refused}): correct it with PATCH /v1/oauth-apps/{{id}}."
    spent = turn.again and kind.grant is not None and kind.grant.spends and not kind.grant.replays
    lost = " The answer to a renewal before was lost, and with it the next refresh token." if spent else ""
    return (
        f"{provider.name} refuses to renew the access ({refused}).{lost} Connect the account again, and give the new "
        "secrets to PATCH /v1/credentials/{id}, or import it again."
    )
