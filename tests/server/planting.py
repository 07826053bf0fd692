"""Secrets that are planted in the system, to be searched for in all that it writes."""

import base64
from collections.abc import Iterator
from typing import Any

from headrace.providers.kit import CredentialKind

_FORMS = {"api_key": "SG.canarykeyid.{}", "secret": "sk_live_{}"}
_PLAIN: dict[str, Any] = {
    "account_id": "1234567", "account_login": "acme", "account_type": "User", "airtable_uid": "usr1",
    "base_url": "https://123-abc-456.mktorest.com", "client_id": "c", "domain": "acme.auth0.com", "hub_id": 1,
    "installation_id": 1, "instance_url": "https://acme.my.salesforce.com", "login_id": "l", "realm_id": "1",
    "shop": "acme.myshopify.com", "stripe_user_id": "acct_1", "tenant": "acme", "username": "u",
}  # fmt: skip
_INSTANCES = {
    "servicenow": {"instance_url": "https://acme.service-now.com"},
    "workday": {"base_url": "https://wd5-services1.myworkday.com"},
}


class Planted:
    """The secrets that were given to the system, or made by it; each is found again in any of its spellings."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = list(secrets)

    def new(self, form: str = "{}") -> str:
        """Another one, in this form."""
        secret = f"Canary{len(self.secrets):03}Yq7Zx4711Kw"
        self.secrets.append(secret)
        return form.format(secret)

    def made(self, secret: str) -> str:
        """One that the system made and told once."""
        assert len(secret) >= 16
        self.secrets.append(secret)
        return secret

    def properties(self, provider: str, kind: CredentialKind) -> dict[str, Any]:
        """Valid properties of the kind, with a planted secret in each place for one."""
        given = {name: _PLAIN[name] for name in kind.schema["required"] if name not in kind.secret}
        given |= {name: value for name, value in _INSTANCES.get(provider, {}).items() if name in given}
        return {"kind": kind.kind, **given, **{name: self.new(_FORMS.get(name, "{}")) for name in kind.secret}}

    def absent(self, where: str, text: bytes) -> None:
        """Fails when one of them is in the text."""
        for secret in self.secrets:
            for spelling in _spellings(secret):
                assert spelling not in text, f"{secret} is in {where}"


def _spellings(secret: str) -> Iterator[bytes]:
    """As it is, in hexadecimal, and in base64 at each of the three places where it may begin."""
    yield secret.encode()
    yield secret.encode().hex().encode()
    for offset in range(3):
        yield base64.b64encode(b"\0" * offset + secret.encode())[4 if offset else 0 : -4]
