"""Who looks: an API token, sealed into a cookie that only the server can read.

Nothing is kept on the server, so every process knows every session. The token is asked about anew with each request: a
session ends with its token, wherever that was revoked. What changes something must carry the session's own word
(`csrf`), which no other site can know.
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import asdict, dataclass

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.requests import Request
from starlette.responses import Response

from headrace.vault.keys import Keyring

COOKIE = "headrace_session"
SAID_COOKIE = "headrace_said"
LASTS_S = 12 * 3600
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Session:
    """`ends` is a Unix time by the database's clock."""

    token: str
    csrf: str
    ends: float

    def __repr__(self) -> str:
        return "<Session>"


class Sealer:
    """Makes and reads the cookies of the console, for all processes of an instance alike."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, name: str, value: object) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(self._key()).encrypt(nonce, orjson.dumps(value), name.encode())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, name: str, cookie: str) -> object:
        """None for what this instance has not sealed under that name."""
        try:
            sealed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            opened: object = orjson.loads(
                AESGCM(self._key()).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
            )
        except (binascii.Error, ValueError, InvalidTag):
            return None
        return opened

    def _key(self) -> bytes:
        return self._keyring.keyed_hash("console cookies")


def begin(sealer: Sealer, response: Response, request: Request, token: str, now: float) -> None:
    """Give the browser a new session of the token."""
    session = Session(token, secrets.token_urlsafe(24), now + LASTS_S)
    _set(response, request, COOKIE, sealer.seal(COOKIE, asdict(session)), LASTS_S)


def end(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/")


def current(sealer: Sealer, request: Request, now: float) -> Session | None:
    """The session of the request, None without one that is still good."""
    cookie = request.cookies.get(COOKIE)
    opened = sealer.open(COOKIE, cookie) if cookie else None
    if not isinstance(opened, dict):
        return None
    session = Session(**opened)
    return session if now < session.ends else None


def comes_from_us(session: Session, request: Request, given: str) -> bool:
    """Whether a request that changes something was made by a page of ours."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    return site in ("same-origin", "none") and hmac.compare_digest(session.csrf.encode(), given.encode())


def say(sealer: Sealer, response: Response, request: Request, kind: str, text: str) -> None:
    """Have the next page say something: how the action went that led to it."""
    _set(response, request, SAID_COOKIE, sealer.seal(SAID_COOKIE, [kind, text[:1_500]]), 60)


def said(sealer: Sealer, request: Request) -> tuple[str, str] | None:
    cookie = request.cookies.get(SAID_COOKIE)
    opened = sealer.open(SAID_COOKIE, cookie) if cookie else None
    return (str(opened[0]), str(opened[1])) if isinstance(opened, list) else None


def _set(response: Response, request: Request, name: str, value: str, seconds: int) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
