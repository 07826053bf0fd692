"""How CheckoutChamp (formerly Konnektive) is reached: addresses, credentials, what its refusals mean, how often it may
be asked. Not proven against the live system: what is known of it is told by clients in use.
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from headrace.providers.kit import (
    Account,
    CredentialKind,
    Fault,
    Limit,
    LimitPolicy,
    Properties,
    Refused,
    Request,
    Response,
)
from headrace.providers.kit.forms import properties, text
from headrace.providers.kit.refusals import body_of, by_status, words

HOST = "https://api.checkoutchamp.com"
HOSTS = ("api.checkoutchamp.com", "api.konnektive.com")
_FORM = "application/x-www-form-urlencoded"


def base_url(properties: Mapping[str, Any]) -> str:
    return str(properties.get("base_url") or HOST)


def prepare(request: Request) -> Request:
    return request


# ───────────────────────────── credentials ─────────────────────────────


def _sign(request: Request, held: Properties, now: datetime) -> Request:
    """Login and password among the parameters of the form, never in the URL, which stands in logs on the way."""
    given = parse_qsl((request.body or b"").decode(), keep_blank_values=True)
    form = [pair for pair in given if pair[0] not in ("loginId", "password")]
    body = urlencode([*form, ("loginId", str(held["login_id"])), ("password", str(held["password"]))]).encode()
    return replace(request, method="POST", body=body).with_header("content-type", _FORM)


def _verify(held: Properties, now: datetime) -> Generator[Request, Response, Account]:
    """The orders of today, one to a page. An unknown login is told in words, with status 200."""
    day = now.strftime("%m/%d/%Y")
    form = {"startDate": day, "endDate": day, "resultsPerPage": "1", "page": "1"}
    response = yield Request(
        "/order/query/", "POST", headers={"content-type": _FORM}, body=urlencode(form).encode(), accept=(200, 401, 403)
    )
    found = fault(response)
    if found is not None and found.kind in ("auth", "permission"):
        raise Refused(f"CheckoutChamp refuses it: {found.message}")
    return Account(id=str(held["login_id"]))


PASSWORD = CredentialKind(
    kind="checkout_champ_password",
    schema=properties(
        ["login_id", "password"], login_id=text("Login id", "Of an API user."), password=text("Password")
    ),
    secret=frozenset({"password"}),
    sign=_sign,
    verify=_verify,
    account_of=lambda held: str(held["login_id"]),
)

KINDS = (PASSWORD,)

# ─────────────────────────────── refusals ──────────────────────────────

_NOTHING = re.compile(r"^No .*(found|matching)", re.I)
_LOGIN = re.compile(r"login|password|credential|authenticat|ip address|not allowed|permission|unauthori[sz]ed", re.I)


def fault(response: Response) -> Fault | None:
    """Classify an answer; None is a success. `result` decides, not the status: ERROR comes with 200. A refusal of the
    login is never tried again by itself: the vendor locks users out."""
    body = body_of(response)
    message = words(response, "message")
    if response.status >= 300:
        return by_status(response, message)
    if not isinstance(body, dict) or body.get("result") == "SUCCESS":
        return None if isinstance(body, dict) else Fault("transient", "the answer is no object")
    if _LOGIN.search(message):
        return Fault("auth", message)
    return None if _NOTHING.search(message) else Fault("bad", message)


LIMITS = LimitPolicy(limits=(Limit(2, 1),), concurrent=1)
"""None are published: one request at a time."""


def default_rate_limit(mode: str) -> tuple[int, int]:
    return (2, 1)
