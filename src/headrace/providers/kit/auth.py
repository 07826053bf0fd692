"""How a credential goes into a request: the signing functions of the plain kinds."""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime

from headrace.http import Request
from headrace.vault.kinds import Properties

Sign = Callable[[Request, Properties, datetime], Request]


def header(name: str, secret: str, prefix: str = "") -> Sign:
    """The property `secret` in the header `name`, after `prefix`."""

    def sign(request: Request, properties: Properties, now: datetime) -> Request:
        return request.with_header(name, f"{prefix}{properties[secret]}")

    return sign


def bearer(secret: str) -> Sign:
    """`Authorization: Bearer` with the property `secret` (RFC 6750 §2.1)."""
    return header("Authorization", secret, "Bearer ")


def basic(user: str, password: str) -> Sign:
    """`Authorization: Basic` with the properties `user` and `password` in UTF-8 (RFC 7617)."""

    def sign(request: Request, properties: Properties, now: datetime) -> Request:
        pair = f"{properties[user]}:{properties[password]}".encode()
        return request.with_header("Authorization", f"Basic {b64encode(pair).decode()}")

    return sign
