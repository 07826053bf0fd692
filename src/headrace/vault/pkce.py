"""Proof key for code exchange (RFC 7636)."""

import base64
import hashlib


def challenge_of(verifier: str) -> str:
    """The S256 code challenge (§4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
