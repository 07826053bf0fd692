"""Authenticated encryption of small values: AES-256-GCM, the key's id in front, the row's identity as associated data.

A sealed value is `form (1 byte) || key id (16) || nonce (12) || ciphertext and tag`. Everything before the ciphertext
and the identity given by the caller is authenticated with it: a byte changed anywhere, or the value copied into
another row, and it does not open. Nonces are 96 random bits, which is safe for 2^32 values a key (NIST SP 800-38D
§8.3).
"""

import os
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headrace.errors import HeadraceError

KEY_BYTES = 32
_FORM = b"\x01"
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORM) + 16


class CannotOpen(HeadraceError):
    """A sealed value does not open: it was changed, belongs to another row, or its key is not here."""


@dataclass(frozen=True, slots=True)
class Key:
    """An AES-256 key and the id by which sealed values name it. The secret shows in no repr."""

    id: UUID
    secret: bytes = field(repr=False)

    def seal(self, identity: bytes, plaintext: bytes) -> bytes:
        head = _FORM + self.id.bytes
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + AESGCM(self.secret).encrypt(nonce, plaintext, head + identity)

    def open(self, identity: bytes, sealed: bytes) -> bytes:
        """The plaintext. CannotOpen when the value was sealed otherwise in any respect."""
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        if key_id(sealed) != self.id:
            raise CannotOpen("a sealed value was given to another key than its own")
        try:
            return AESGCM(self.secret).decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], head + identity)
        except InvalidTag:
            raise CannotOpen("a sealed value was changed or belongs to another row; restore the row") from None


def key_id(sealed: bytes) -> UUID:
    """The id of the key that opens `sealed`; CannotOpen when it is no sealed value of a form that is known."""
    if len(sealed) < _HEAD_BYTES + _NONCE_BYTES or sealed[:1] != _FORM:
        raise CannotOpen("this is no sealed value of a known form; restore the row, or run a newer version")
    return UUID(bytes=bytes(sealed[1:_HEAD_BYTES]))


def identity(what: str, *parts: UUID | str | bytes) -> bytes:
    """The identity of what is sealed: `what` (as a rule `table.column`) and the row's key.

    Unambiguous: each part is preceded by its length, so that ("ab", "c") is not ("a", "bc").
    """
    encoded = [what.encode()]
    for part in parts:
        encoded.append(part.bytes if isinstance(part, UUID) else part.encode() if isinstance(part, str) else part)
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
