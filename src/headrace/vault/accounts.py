"""Whose credential it is, and by what it is told to be the same as another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import orjson

from headrace import jsontext
from headrace.errors import ImplementationError
from headrace.vault.drafts import origin
from headrace.vault.keys import Keyring
from headrace.vault.kinds import Account, CredentialKind

Mode = Literal["live", "test"]
TEST = "test"
"""The property by which a kind tells a test account from a live one, where its schema has it."""


def told_mode(kind: CredentialKind, properties: Mapping[str, Any]) -> Mode | None:
    """The mode as far as the properties tell it, without asking the provider; None: unknown."""
    mode = kind.mode_of(properties)
    if mode is None and TEST in properties:
        mode = "test" if properties[TEST] is True else "live"
    return None if mode is None else _mode(kind, mode)


def found_mode(kind: CredentialKind, account: Account) -> Mode:
    """The mode that the provider's answer tells. ImplementationError for any but the two that there are."""
    return _mode(kind, account.mode)


def _mode(kind: CredentialKind, mode: str) -> Mode:
    if mode == "live":
        return "live"
    if mode == "test":
        return "test"
    raise ImplementationError(f"{kind.kind} told the mode {mode!r}: it is 'live' or 'test'")


def settle(kind: CredentialKind, properties: Mapping[str, Any], account: Account | None, mode: Mode) -> dict[str, Any]:
    """The properties with what the provider's answer puts right (`account` None: it was not asked), and with `test`
    as it is, where the schema has it.

    Raises ImplementationError when the answer holds what the schema does not name.
    """
    known = kind.schema.get("properties", {})
    learned = dict(account.learned) if account is not None else {}
    if unknown := [name for name in learned if name not in known]:
        raise ImplementationError(
            f"verifying {kind.kind} learned {', '.join(unknown)}, which its schema does not name: "
            "name them in `CredentialKind.schema`, or leave them out of `Account`"
        )
    if TEST in known:
        learned[TEST] = mode == "test"
    return {**properties, **learned}


@dataclass(frozen=True, slots=True)
class Marks:
    """By what a credential is found again.

    `fingerprint` stands for the secret, `upsert_key` for the account (and for the secret too while the account is
    unknown, or when the credential is narrow), `account_hash` for the account in the ledger of limits, which all
    organisations share. All are keyed hashes: they tell nothing to who reads the database.
    """

    account_id: str | None
    mode: Mode
    account_hash: bytes = field(repr=False)
    upsert_key: bytes = field(repr=False)
    fingerprint: bytes = field(repr=False)


def marks(
    keyring: Keyring,
    provider: str,
    kind: CredentialKind,
    oauth_app_id: UUID | None,
    properties: Mapping[str, Any],
    account_id: str | None,
    mode: Mode,
    *,
    narrow: bool,
    given: Mapping[str, Any] | None = None,
) -> Marks:
    """The marks of settled properties. A development address is an account's own world: two emulators that both call
    their account acct_1 have two accounts. `given` hold the secret by which it is found, where that is not theirs."""
    secret = {name: value for name, value in (given or properties).items() if name in kind.secret}
    app = b"" if oauth_app_id is None else oauth_app_id.bytes
    place = origin(kind, properties).encode()
    whole = orjson.dumps(orjson.loads(jsontext.dumps(secret)), option=orjson.OPT_SORT_KEYS)
    fingerprint = keyring.keyed_hash("secret", kind.kind.encode(), app, place, whole)
    if account_id is None:
        account_hash = keyring.keyed_hash("account of a secret", provider.encode(), fingerprint)
    else:
        account_hash = keyring.keyed_hash("account", provider.encode(), place, mode.encode(), account_id.encode())
    upsert_key = keyring.keyed_hash(
        "credential",
        kind.kind.encode(),
        app,
        account_hash,
        fingerprint if narrow or account_id is None else b"",
    )
    return Marks(account_id, mode, account_hash, upsert_key, fingerprint)


def secret_field(kind: CredentialKind, properties: Mapping[str, Any]) -> str:
    """The dotted name of the field to which a refusal of the provider is put: the first secret that was given."""
    order = [*kind.schema.get("properties", {})]
    given = [name for name in order if name in kind.secret and name in properties]
    return f"properties.{(given or sorted(kind.secret))[0]}"


def grant_mark(keyring: Keyring, kind: CredentialKind, properties: Mapping[str, Any]) -> bytes | None:
    """A keyed hash of the grant: of the secret that access tokens are made of; None where none are."""
    if kind.grant is None or not kind.mints(properties):
        return None
    return keyring.keyed_hash("grant", kind.kind.encode(), *(str(properties[name]).encode() for name in kind.grant.of))
