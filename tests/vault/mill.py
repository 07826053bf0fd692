"""Credential kinds of no real provider, to test the vault with."""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

from headrace.http import Request, Response
from headrace.vault.drafts import Kinds
from headrace.vault.kinds import Account, CredentialKind


def sign(request: Request, properties: Mapping[str, Any], now: datetime) -> Request:
    return request.with_header("authorization", f"Bearer {properties['secret']}")


def verify(properties: Mapping[str, Any], now: datetime) -> Generator[Request, Response, Account]:
    response = yield Request("/account")
    return Account(response.json()["id"])


KEY = CredentialKind(
    kind="mill_key",
    schema={
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "secret": {"type": "string", "minLength": 1, "pattern": "^mk_"},
            "spare": {"type": "string"},
            "test": {"type": "boolean"},
            "wheels": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        },
        "required": ["secret"],
    },
    secret=frozenset({"secret", "spare"}),
    sign=sign,
    verify=verify,
    mode_of=lambda properties: "test" if str(properties["secret"]).startswith("mk_test") else None,
    aliases={"secret_key": "secret"},
    older_names=("mill",),
)
LOGIN = CredentialKind(
    kind="mill_login",
    schema={
        "type": "object",
        "properties": {
            "user": {"type": "string"},
            "password": {"type": "string"},
            "base_url": {"type": "string"},
        },
        "required": ["user", "password", "base_url"],
    },
    secret=frozenset({"password"}),
    sign=sign,
    verify=verify,
    account_of=lambda properties: str(properties["user"]),
    needs_oauth_app=True,
)
KINDS = Kinds([("mill", (KEY, LOGIN))])
