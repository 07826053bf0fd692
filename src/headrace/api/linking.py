"""The steps of an auth link that ask the provider: where to send the browser, and what its return is worth."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from headrace.api.importing import kinds_of
from headrace.api.services import Services
from headrace.engine.exchanges import Unanswered
from headrace.errors import ProviderFailed, ProviderTimedOut
from headrace.providers.kit import CredentialKind, Provider, Refused
from headrace.vault import oauth_apps, schema
from headrace.vault.grants import ACCESS_TOKEN, App, Code
from headrace.vault.grants import Link as Variant
from headrace.vault.links import Link
from headrace.vault.pkce import challenge_of
from headrace.vault.tokens import learned_of


@dataclass(frozen=True, slots=True)
class Asking:
    """A link with all that its steps need: the provider, the kind, how it is granted, and the app, opened."""

    link: Link
    provider: Provider
    kind: CredentialKind
    variant: Variant
    app: App

    @property
    def told(self) -> dict[str, Any]:
        """What is known of the account before it is connected; in development with the app's address."""
        told: dict[str, Any] = dict(self.link.payload["told"])
        if self.app.base_url is not None:
            told["base_url"] = self.app.base_url
        return told

    def lacks(self, told: Mapping[str, Any]) -> dict[str, list[str]]:
        """What must be told yet, or is told wrongly: the property's name to reasons."""
        known = self.kind.schema["properties"]
        asked = {name: known[name] for name in self.variant.asks}
        if self.app.base_url is not None:
            asked.pop("base_url", None)
        part = {"type": "object", "properties": asked, "required": list(asked)}
        given = {name: value for name, value in told.items() if name in asked}
        return {name.removeprefix("told."): reasons for name, reasons in schema.reasons(part, given, "told").items()}


async def asking(services: Services, link: Link) -> Asking:
    """Raises NotFound when the app is gone, ProviderFailed when the kind is not installed any more."""
    found = kinds_of(services).get(link.kind)
    if found is None or found[1].link is None:
        raise ProviderFailed("the connector that this link was made with is not installed any more")
    slug, kind = found
    assert kind.link is not None
    async with services.db.api.acquire() as conn:
        app = await oauth_apps.open_app(conn, services.keyring, link.org_id, link.oauth_app_id)
    return Asking(link, services.providers[slug], kind, kind.link, app)


async def authorize_url(
    services: Services, asked: Asking, told: Mapping[str, Any], redirect_uri: str
) -> tuple[str, str]:
    """Where the browser is to go, but for the state, and the PKCE verifier (empty where there is none).

    Raises Refused and Unanswered when the provider must be asked and will not tell.
    """
    now = services.db.clock.now()
    place = await services.transport.exchanges.make_token(
        asked.provider, asked.kind, told, asked.variant.address(asked.app, told, now)
    )
    verifier = secrets.token_urlsafe(48) if asked.variant.pkce else ""
    if not asked.variant.standard:
        return place, verifier
    query = {
        "response_type": "code",
        "client_id": asked.app.client_id,
        "redirect_uri": redirect_uri,
        **asked.variant.parameters(asked.app, told),
    }
    if scope := asked.link.payload.get("scope"):
        query["scope"] = scope
    if verifier:
        query |= {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    return f"{place}?{urlencode(query)}", verifier


async def credential_of(
    services: Services, asked: Asking, query: Mapping[str, str], redirect_uri: str
) -> dict[str, Any]:
    """The properties of the credential that a callback brings, `kind` among them.

    Raises Refused when the callback is not genuine or the provider takes something back, Unanswered when it gives no
    answer. That it cannot be asked whose account it is, is no hindrance: the import will ask.
    """
    told = asked.told
    told |= asked.variant.callback(query, asked.app, told)
    verifier = asked.link.payload.get("verifier") or None
    code = Code(query.get("code", ""), redirect_uri, verifier)
    exchanges, now = services.transport.exchanges, services.db.clock.now()
    minted = await exchanges.make_token(
        asked.provider, asked.kind, told, asked.variant.exchange(code, asked.app, told, now)
    )
    properties = {**told, **learned_of(asked.kind, minted)}
    try:
        account = await exchanges.verify(asked.provider, asked.kind, {**properties, ACCESS_TOKEN: minted.access_token})
    except (ProviderFailed, ProviderTimedOut):
        pass
    else:
        properties |= account.learned
    return {"kind": asked.kind.kind, **properties}


WHY: dict[type[Exception], str] = {Refused: "access_denied", Unanswered: "temporarily_unavailable"}
"""The `error` with which a browser is sent back (RFC 6749 §4.1.2.1)."""
