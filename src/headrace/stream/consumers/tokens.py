"""Ack tokens: each names one delivery, and is signed, so that none can be made up or taken to another consumer."""

import binascii
import hmac
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID

from headrace.errors import BadRequest

_BODY = Struct(">16sQQI")
_MAC_BYTES = 12
_LENGTH = (_BODY.size + _MAC_BYTES) * 4 // 3  # a multiple of three bytes: no padding


class Delivery(NamedTuple):
    """One delivery of one version of a record: the `turn` of the consumer that handed it out tells it from others."""

    record_id: UUID
    idx: int
    turn: int
    generation: int


class Tokens:
    """The tokens of one consumer, signed with its key of 32 random bytes."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=_MAC_BYTES)

    def mint(self, record_id: UUID, idx: int, turn: int, generation: int) -> str:
        body = _BODY.pack(record_id.bytes, idx, turn, generation)
        mac = self._keyed.copy()
        mac.update(body)
        return binascii.b2a_base64(body + mac.digest(), newline=False).decode()

    def read(self, token: str) -> Delivery:
        """Raises BadRequest for what is no token of this consumer."""
        try:
            if len(token) != _LENGTH:
                raise ValueError
            data = binascii.a2b_base64(token, strict_mode=True)
        except ValueError:
            raise BadRequest(
                "An ack token is malformed; nothing was acted on. Give tokens as `next` returned them."
            ) from None
        body = data[: _BODY.size]
        mac = self._keyed.copy()
        mac.update(body)
        if not hmac.compare_digest(mac.digest(), data[_BODY.size :]):
            raise BadRequest(
                "An ack token is not this consumer's; nothing was acted on. Ack with the consumer that gave it."
            )
        record_id, idx, turn, generation = _BODY.unpack(body)
        return Delivery(FastUUID(record_id), idx, turn, generation)
