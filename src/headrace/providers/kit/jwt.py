"""JSON Web Tokens (RFC 7515, RFC 7519): those that an app signs to speak for itself, and the end of those it holds."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from headrace.vault.grants import GrantRefused


def rs256(private_key: str, claims: Mapping[str, Any]) -> str:
    """The token of these claims, signed by RSASSA-PKCS1-v1_5 with SHA-256.

    Raises GrantRefused, which does not repeat the key, when it is no RSA key in PEM.
    """
    head = _part(orjson.dumps({"alg": "RS256", "typ": "JWT"}))
    body = _part(orjson.dumps(dict(claims)))
    signature = _key(private_key).sign(f"{head}.{body}".encode(), PKCS1v15(), SHA256())
    return f"{head}.{body}.{_part(signature)}"


def expires_at(token: str) -> datetime | None:
    """When a token says that it ends (its claim `exp`); None for what is no such token or says nothing. Its signature
    is not looked at: nothing may be decided by this but what to tell its owner."""
    parts = token.split(".")
    try:
        claims = orjson.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def _key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise GrantRefused("the OAuth app's private_key is no private key in PEM", "app") from None
    if not isinstance(key, RSAPrivateKey):
        raise GrantRefused("the OAuth app's private_key is no RSA key", "app")
    return key


def _part(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
