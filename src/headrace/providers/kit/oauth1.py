"""OAuth 1.0a signatures with HMAC-SHA256 (RFC 5849 §3.4; those who ask for it take no weaker hash)."""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: the consumer (the integration) and the token (the grant), each an id and a secret."""

    consumer_key: str
    consumer_secret: str = field(repr=False)
    token_id: str
    token_secret: str = field(repr=False)

    def header(
        self, method: str, url: str, query: Iterable[tuple[str, str]], now: datetime, *, realm: str, nonce: str = ""
    ) -> str:
        """The value of `Authorization`. `url` may carry a query of its own; a JSON body is not signed (§3.4.1.3.1)."""
        oauth = {
            "oauth_consumer_key": self.consumer_key,
            "oauth_token": self.token_id,
            "oauth_signature_method": "HMAC-SHA256",
            "oauth_timestamp": str(int(now.timestamp())),
            "oauth_nonce": nonce or secrets.token_hex(16),
            "oauth_version": "1.0",
        }
        oauth["oauth_signature"] = self._signature(method, url, [*query, *oauth.items()])
        pairs = {"realm": realm, **oauth}
        return "OAuth " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in pairs.items())

    def _signature(self, method: str, url: str, parameters: Iterable[tuple[str, str]]) -> str:
        parts = urlsplit(url)
        every = [*parameters, *parse_qsl(parts.query, keep_blank_values=True)]
        normal = "&".join(
            f"{name}={value}" for name, value in sorted((_quoted(name), _quoted(value)) for name, value in every)
        )
        port = f":{parts.port}" if parts.port not in (None, 80 if parts.scheme == "http" else 443) else ""
        place = f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}{port}{parts.path or '/'}"
        base = "&".join((method.upper(), _quoted(place), _quoted(normal)))
        key = f"{_quoted(self.consumer_secret)}&{_quoted(self.token_secret)}"
        return b64encode(hmac.digest(key.encode(), base.encode(), hashlib.sha256)).decode()


def _quoted(text: str) -> str:
    """Percent-encoded but for the unreserved characters (§3.6)."""
    return quote(text, safe="-._~")
