"""A credential tried against its provider, and stored.

Trying a rotating token spends it. So a grant is first laid *aside*: stored as a credential whose account is not known
yet. Its token is then made as any other (`engine/tokens.py`): one at a time over all processes, its successor stored
before it is used. When the provider has said whose it is, what was laid aside becomes the credential of that account,
or is taken over by the one that there is. Whatever becomes of the request meanwhile, the grant is not lost; and two
imports of the same grant at the same time spend it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.api.importing import within
from headrace.api.services import Services
from headrace.db.pool import Conn
from headrace.engine.access import Access, load_access, scrub
from headrace.engine.tokens import NoToken
from headrace.errors import Invalid, NotFound, ProviderFailed, ProviderTimedOut
from headrace.providers.kit import Account, Refused
from headrace.vault import credentials, tokens
from headrace.vault.accounts import secret_field
from headrace.vault.credentials import Credential
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.grants import ACCESS_TOKEN

UNVERIFIED = Verdict(None, "ok", ("It was not tried against the provider when it was given (verify=false).",))
_ASIDE = Verdict(None, "warn", ("It was stored before the provider was asked, and the asking was cut short.",))


@dataclass(frozen=True, slots=True)
class Tried:
    """A draft and what the provider said of it. `access` is the credential that holds its grant meanwhile, opened;
    None where nothing had to be laid aside."""

    draft: Draft
    verdict: Verdict
    access: Access | None = None


def untried(draft: Draft) -> Tried:
    """The draft of a caller who does not want it tried."""
    return Tried(draft, UNVERIFIED)


async def verify(services: Services, org_id: UUID, draft: Draft, *, prefix: str = "") -> Tried:
    """What the provider says of it. Raises Invalid on the secret's field when it definitely refuses; a provider that
    cannot be reached gives a Verdict without an account, with health `warn`."""
    with within(prefix):
        access = await _aside(services, org_id, draft) if draft.kind.mints(draft.properties) else None
        try:
            account, access = await _ask(services, draft, access)
        except (ProviderFailed, ProviderTimedOut) as failed:
            notes = (f"It could not be tried against the provider: {failed.summary}",)
            return Tried(draft, Verdict(None, "warn", notes), access)
        return Tried(draft, Verdict(account), access)


async def verify_firmly(services: Services, held: Credential, draft: Draft) -> Tried:
    """As `verify`, for a credential that is there, in whose place the draft is to come; a provider that cannot be
    reached is ProviderFailed or ProviderTimedOut."""
    access = None
    if draft.kind.mints(draft.properties):
        access = await _aside(services, held.org_id, draft)
    account, access = await _ask(services, draft, access)
    return Tried(draft, Verdict(account), access)


async def store(conn: Conn, services: Services, org_id: UUID, tried: Tried, now: datetime) -> Credential:
    """Store what was tried, or update the credential of the same account. Call it in a transaction."""
    draft = await _present(conn, services, tried)
    stored = await credentials.import_(conn, services.keyring, org_id, draft, tried.verdict, now)
    await _take_over(conn, services, stored, tried, now)
    return stored


async def replace_grant(conn: Conn, services: Services, held: Credential, tried: Tried, now: datetime) -> Credential:
    """Put what was tried in the place of what `held` has. Raises Invalid for another account: a grant that was laid
    aside for the trying is then a credential of its own. Call it in a transaction."""
    draft = await _present(conn, services, tried)
    if tried.access is not None and tried.access.credential_id == held.id:
        held = await credentials.get(conn, held.org_id, held.id)  # what the trying has learned is in it already
    stored = await credentials.reauthorise(
        conn, services.keyring, held, draft.kind, draft.properties, tried.verdict, now
    )
    await _take_over(conn, services, stored, tried, now)
    return stored


async def keep_aside(services: Services, org_id: UUID, tried: Tried, refused: Invalid) -> Invalid:
    """After `replace_grant` was refused: let what was laid aside be the credential of its own account, and say so."""
    if tried.access is None:
        return refused
    async with services.db.transaction() as conn:
        stored = await store(conn, services, org_id, tried, services.db.clock.now())
    told = f"the new grant was spent by trying it, and is kept as credential {stored.id}"
    return Invalid({place: [*reasons, told] for place, reasons in refused.errors.items()})


async def _aside(services: Services, org_id: UUID, draft: Draft) -> Access:
    """The credential that holds the grant while it is tried: one that has it already, or a new one."""
    async with services.db.transaction() as conn:
        held = await credentials.of_same_secret(conn, services.keyring, org_id, draft)
        if held is None:
            now = services.db.clock.now()
            held = await credentials.import_(conn, services.keyring, org_id, draft, _ASIDE, now, proved=False)
        return await load_access(conn, services.keyring, services.providers, held, services.settings)


async def _ask(services: Services, draft: Draft, access: Access | None) -> tuple[Account, Access | None]:
    """Whose it is. Raises Invalid, ProviderFailed, ProviderTimedOut."""
    provider, kind = services.providers[draft.provider], draft.kind
    exchanges = services.transport.exchanges
    try:
        if access is None:
            return await exchanges.verify(provider, kind, draft.properties), None
        ready = await _ready(services, access)
        try:
            return await exchanges.verify(provider, kind, _tried_with(draft, ready)), access
        except Refused:
            if access.properties.get(ACCESS_TOKEN) != ready.properties.get(ACCESS_TOKEN):
                raise
        # The access token that came along has ended: the grant may still be good.
        ready = await _ready(services, access, refused=ready.properties.get(ACCESS_TOKEN))
        return await exchanges.verify(provider, kind, _tried_with(draft, ready)), access
    except Refused as refused:
        # Some providers repeat the key in their refusal.
        reason = scrub(str(refused), kind, draft.properties)
        if access is not None:
            await _forget(services, access)
        raise Invalid({secret_field(kind, draft.properties): [f"is refused by the provider: {reason}"]}) from None


def _tried_with(draft: Draft, ready: Access) -> Mapping[str, Any]:
    secrets = {name: ready.properties[name] for name in draft.kind.hidden if name in ready.properties}
    return {**draft.properties, **ready.properties, **secrets}


async def _ready(services: Services, access: Access, refused: str | None = None) -> Access:
    made = services.transport.tokens
    assert made is not None
    try:
        return await made.ready(access, refused=refused)
    except NoToken as none:
        if none.fault.kind == "auth":
            raise Refused(none.fault.message) from None
        raise ProviderFailed(none.fault.message) from None


async def _forget(services: Services, access: Access) -> None:
    """Take away what was laid aside for a grant that the provider refuses, unless it is in use."""
    async with services.db.transaction() as conn:
        await _remove(conn, access.org_id, access.credential_id)


async def _remove(conn: Conn, org_id: UUID, credential_id: UUID) -> None:
    try:
        held = await credentials.get(conn, org_id, credential_id, lock=True)
        if held.account_id is None:
            await credentials.delete(conn, org_id, credential_id)
    except (NotFound, Invalid):
        return


async def _present(conn: Conn, services: Services, tried: Tried) -> Draft:
    """The draft with the grant as it is now: it may have been exchanged since it was given."""
    access, draft = tried.access, tried.draft
    if access is None:
        return draft
    try:
        held = await credentials.get(conn, access.org_id, access.credential_id, lock=True)
    except NotFound:
        return draft
    opened = await credentials.open_properties(conn, services.keyring, held)
    secret = {name: opened[name] for name in draft.kind.secret if name in opened}
    learned = {name: value for name, value in opened.items() if name not in draft.properties}
    return replace(draft, properties={**learned, **draft.properties, **secret}, given=draft.given or draft.properties)


async def _take_over(conn: Conn, services: Services, stored: Credential, tried: Tried, now: datetime) -> None:
    access = tried.access
    if access is None or services.transport.tokens is None:
        return
    token = services.transport.tokens.kept(access)
    if token is not None:
        await tokens.move(conn, services.keyring, token, stored, now)
    if stored.id != access.credential_id:
        await _remove(conn, access.org_id, access.credential_id)
