"""Ack tokens: each names one delivery, and is signed, so that none can be made up or taken to another consumer."""

import binascii
import hmac
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID

from headrace.errors import BadRequest

_BODY = Struct(">16sQQI")
_MAC_BYTES = 12
_SIZE = _BODY.size + _MAC_BYTES  # a multiple of three: no padding
_LENGTH = _SIZE * 4 // 3


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

    def mint(self, deliveries: Iterable[tuple[UUID, int]], turn: int, generation: int) -> list[str]:
        """A token for each (record id, idx) that the turn hands out."""
        pack, keyed = _BODY.pack, self._keyed
        parts: list[bytes] = []
        for record_id, idx in deliveries:
            body = pack(record_id.bytes, idx, turn, generation)
            mac = keyed.copy()
            mac.update(body)
            parts += (body, mac.digest())
        text = binascii.b2a_base64(b"".join(parts), newline=False).decode()
        return [text[at : at + _LENGTH] for at in range(0, len(text), _LENGTH)]

    def read(self, tokens: Sequence[str]) -> list[Delivery]:
        """Raises BadRequest when one of them is no token of this consumer."""
        data = _joined(tokens)
        unpack, keyed, differs = _BODY.unpack, self._keyed, False
        deliveries: list[Delivery] = []
        for at in range(0, len(data), _SIZE):
            body = data[at : at + _BODY.size]
            mac = keyed.copy()
            mac.update(body)
            differs |= not hmac.compare_digest(mac.digest(), data[at + _BODY.size : at + _SIZE])
            record_id, idx, turn, generation = unpack(body)
            deliveries.append(Delivery(FastUUID(record_id), idx, turn, generation))
        if differs:
            raise BadRequest(
                "An ack token is not this consumer's; nothing was acted on. Ack with the consumer that gave it."
            )
        return deliveries


def _joined(tokens: Sequence[str]) -> bytes:
    """What the tokens hold, one behind the other: none has padding, so that they are read as one text."""
    try:
        if any(len(token) != _LENGTH for token in tokens):
            raise ValueError
        data = binascii.a2b_base64("".join(tokens), strict_mode=True)
        if len(data) != len(tokens) * _SIZE:
            raise ValueError
    except ValueError:
        raise BadRequest(
            "An ack token is malformed; nothing was acted on. Give tokens as `next` returned them."
        ) from None
    return data
