"""Token endpoints: the exchanges of OAuth 2.0 (RFC 6749) as the providers vary them.

Every request here carries its own authentication and is sent without the credential's. Where a credential carries a
development `base_url`, the endpoint's path is asked for there.
"""

from base64 import b64encode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import orjson

from headrace.http import Request, Response
from headrace.vault.grants import REFRESH_TOKEN, App, Code, GrantRefused, Minted, Minting, Properties

_TOLD = (400, 401, 403, 404)
"""Statuses with which token endpoints explain a refusal (RFC 6749 §5.2); others are faults of the moment."""
_APP_REFUSED = ("invalid_client", "unauthorized_client", "incorrect_client_credentials", "invalid_client_id")
_GRANT_LIVES = ("refresh_token_expires_in", "x_refresh_token_expires_in", "x_refresh_token_hard_expires_in")
_GRANT_REFUSED = ("invalid_grant", "bad_refresh_token", "bad_verification_code", "access_denied")


def at(properties: Properties, url: str) -> str:
    """`url`, or its path at the development address that the properties carry."""
    base_url = properties.get("base_url")
    if not base_url:
        return url
    parts = urlsplit(url)
    return str(base_url).rstrip("/") + parts.path


def fixed(url: str) -> Callable[[Properties], str]:
    """An endpoint that is the same for every account."""
    return lambda properties: at(properties, url)


def address(
    url: Callable[[Properties], str],
) -> Callable[[App, Properties, datetime], Generator[Request, Response, str]]:
    """A `Link.address` that is known without asking."""

    def steps(app: App, told: Properties, now: datetime) -> Generator[Request, Response, str]:
        return url(told)
        yield

    return steps


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """A token endpoint.

    `url(properties)` is where it is. `client_auth` says how the app proves itself: `basic` in the header, `body` among
    the parameters, `secret` there without its id, `key` by the secret alone as the user of `basic`. `encoding` is that
    of the parameters. `learn` picks from the answer the properties to be kept; the refresh token of the answer is kept
    always, since any provider may send a new one. `headers` are sent along.
    """

    url: Callable[[Properties], str]
    client_auth: Literal["basic", "body", "secret", "key"] = "body"
    encoding: Literal["form", "json"] = "form"
    learn: Callable[[Mapping[str, Any]], Properties] = lambda answer: {}
    parameters: Callable[[Properties], Mapping[str, str]] = lambda properties: {}
    headers: Mapping[str, str] = field(default_factory=dict)

    def refresh(self, properties: Properties, app: App | None, now: datetime) -> Minting:
        """A new access token for the refresh token (RFC 6749 §6)."""
        given = {"grant_type": "refresh_token", REFRESH_TOKEN: str(properties[REFRESH_TOKEN])}
        return self.ask(given, properties, app)

    def exchange(self, code: Code, app: App, told: Properties, now: datetime) -> Minting:
        """Tokens for an authorisation code (RFC 6749 §4.1.3), with the PKCE verifier where there is one."""
        given = {"grant_type": "authorization_code", "code": code.code, "redirect_uri": code.redirect_uri}
        if code.verifier is not None:
            given["code_verifier"] = code.verifier
        return self.ask(given, told, app)

    def client_credentials(self, properties: Properties, app: App | None, now: datetime) -> Minting:
        """An access token for the credential's own `client_id` and `client_secret` (RFC 6749 §4.4)."""
        client = App(str(properties["client_id"]), str(properties["client_secret"]))
        return self.ask({"grant_type": "client_credentials"}, properties, client)

    def ask(self, given: Mapping[str, str], properties: Properties, app: App | None) -> Minting:
        """Send the parameters; what the answer gives. Raises GrantRefused."""
        if app is None:
            raise GrantRefused("no OAuth app is named through which it could be refreshed", "app")
        form = {**given, **self.parameters(properties)}
        headers = {"accept": "application/json", **self.headers}
        if self.client_auth == "body":
            form |= {"client_id": app.client_id, "client_secret": app.client_secret}
        elif self.client_auth == "secret":
            form |= {"client_secret": app.client_secret}
        else:
            # RFC 6749 §2.3.1: both are form-encoded before they are joined.
            user, password = (
                (app.client_secret, "") if self.client_auth == "key" else (app.client_id, app.client_secret)
            )
            pair = f"{quote(user, safe='')}:{quote(password, safe='')}".encode()
            headers["authorization"] = f"Basic {b64encode(pair).decode()}"
        if self.encoding == "json":
            body, headers["content-type"] = orjson.dumps(form), "application/json"
        else:
            body, headers["content-type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        response = yield Request(
            self.url(properties), "POST", headers=headers, body=body, accept=_TOLD, anonymous=True, safe=False
        )
        answer = told(response)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise GrantRefused("the token endpoint's answer holds no access token")
        learned = dict(self.learn(answer))
        if isinstance(answer.get(REFRESH_TOKEN), str) and answer[REFRESH_TOKEN]:
            learned[REFRESH_TOKEN] = answer[REFRESH_TOKEN]
        return Minted(token, life_s(answer), learned, grant_life_s(answer))


def told(response: Response) -> dict[str, Any]:
    """The answer of a token endpoint as an object. Raises GrantRefused for what it refuses, with status 200 too, as
    some do."""
    answer = response.json()
    if not isinstance(answer, dict):
        raise GrantRefused(f"the token endpoint answered {response.status} with what is no object")
    error = answer.get("error") or (answer.get("status") if response.status >= 400 else None)
    if not error and response.status < 400:
        return answer
    code = str(error or response.status)
    words = answer.get("error_description") or answer.get("message") or ""
    reason = f"{code}: {words}" if words else code
    if code.lower() in _GRANT_REFUSED:
        raise GrantRefused(reason, "grant")
    if code.lower() in _APP_REFUSED or response.status == 401:
        raise GrantRefused(reason, "app")
    raise GrantRefused(reason, "grant")


def life_s(answer: Mapping[str, Any]) -> float | None:
    """`expires_in` in seconds, a number or the text of one; None where it is not told."""
    return _seconds(answer.get("expires_in"))


def grant_life_s(answer: Mapping[str, Any]) -> float | None:
    """How long the grant lives, as some tell it: until it must be used again, or in all; the shorter of both."""
    told = [_seconds(answer.get(name)) for name in _GRANT_LIVES]
    return min((each for each in told if each is not None), default=None)


def _seconds(told: Any) -> float | None:
    try:
        return max(0.0, float(told))
    except (TypeError, ValueError):
        return None


def scope(answer: Mapping[str, Any]) -> Properties:
    """`scope` of the answer, where it has one."""
    return {"scope": answer["scope"]} if isinstance(answer.get("scope"), str) else {}
