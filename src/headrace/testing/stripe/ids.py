"""Ids that are computed, not kept: an object's ordinal becomes its id, and the id leads back to the ordinal.

They look like Stripe's: a prefix, then letters and digits in no visible order. That is what lets the server hold ten
million objects in no memory and still find any of them by id.
"""

import json

_BITS = 48
_MASK = (1 << _BITS) - 1
_WIDTH = _BITS // 4
_FACTOR = 0x9E37_79B9_7F4B
_INVERSE = pow(_FACTOR, -1, 1 << _BITS)

ODD_TAIL = " ü%2F/?#&+'\"\\✓"
"""What an id may carry under the fault `odd_id`: everything that a careless client forgets to escape."""

_ODD_JSON = json.dumps(ODD_TAIL, ensure_ascii=False)[1:-1].encode()


def share(portion: float) -> int:
    """A portion (0 to 1) of all ordinals, as the bound that `chosen` compares with."""
    return int(portion * (1 << 32))


def chosen(ordinal: int, bound: int) -> bool:
    """Whether this ordinal is among the share: the same ones each time, spread evenly."""
    return (ordinal * 2_654_435_761 + 12_345) & 0xFFFF_FFFF < bound


class IdCodec:
    """Ordinal ↔ id for one kind of object. `odd_bound` is the share of ids that carry the odd tail."""

    def __init__(self, prefix: str, tail: str, seed: int) -> None:
        self._prefix = prefix
        self._form = (prefix + "%012x" + tail).encode()
        self._offset = seed * 0x2545_F491_4F6C_DD1D & _MASK
        self.odd_bound = 0

    def raw(self, ordinal: int) -> bytes:
        """The id as it stands between the quotes of a JSON string."""
        text = self._form % ((ordinal + self._offset) * _FACTOR & _MASK)
        return text + _ODD_JSON if self.odd_bound and chosen(ordinal, self.odd_bound) else text

    def encode(self, ordinal: int) -> str:
        text = (self._form % ((ordinal + self._offset) * _FACTOR & _MASK)).decode()
        return text + ODD_TAIL if self.odd_bound and chosen(ordinal, self.odd_bound) else text

    def decode(self, text: str) -> int | None:
        """The ordinal whose id this is, whether or not such an object exists; None when it is no id of this kind."""
        start = len(self._prefix)
        try:
            number = int(text[start : start + _WIDTH], 16)
        except ValueError:
            return None
        ordinal = (number * _INVERSE - self._offset) & _MASK
        return ordinal if self.encode(ordinal) == text else None
