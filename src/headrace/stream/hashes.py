"""By what two readings of a record are known to be of one content.

Equal bytes are equal content, and cost one hash. Else the canonical forms decide: keys sorted, no white space, volatile
fields left out, numbers by their value with every digit. A canonical form is hashed, never stored or shown.
"""

import contextlib
import json
import re
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import xxhash

from headrace.stream.items import Canon

# Digits, with a point counted as one: 17 in a row may be a number that a double does not hold.
_SHAPE = bytes.maketrans(b"0123456789.E", b"00000000000e")
_LONG_NUMBER = b"0" * 17
_TINY_NUMBER = b"0e-000"
_PLAIN = Canon()
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SURROGATE = re.compile(rb"(?<!\\)((?:\\\\)*)\\(u0000|u[dD][89a-fA-F])")


def raw_hash(raw: bytes) -> bytes:
    """xxh3_128 of the JSON text as it was sent."""
    return xxhash.xxh3_128_digest(raw)


def canon_hash(raw: bytes, canon: Canon) -> bytes:
    """xxh3_128 of the canonical form of the JSON text `raw`."""
    return xxhash.xxh3_128_digest(canonical(raw, canon))


def same_content(one: bytes, other: bytes) -> bool:
    """Whether the canonical forms of two JSON texts, with no volatile fields, are equal.

    Objects are compared field by field, and canonical forms are made of fields whose bytes differ: of a record that
    changed in a field or two that is 4 us instead of 17.
    """
    try:
        fields, others = _FIELDS.decode(one), _FIELDS.decode(other)
    except (msgspec.DecodeError, RecursionError):  # no object, or half a surrogate pair
        return canonical(one, _PLAIN) == canonical(other, _PLAIN)
    if fields.keys() != others.keys():
        return False
    return all(
        value == others[name] or canonical(bytes(value), _PLAIN) == canonical(bytes(others[name]), _PLAIN)
        for name, value in fields.items()
    )


def canonical(raw: bytes, canon: Canon) -> bytes:
    """The canonical form of `raw`: equal for two texts if and only if their values are.

    `1` and `1.0` are two values, `1.10` and `1.1` are one. Text nested too deeply to be taken apart stands for itself,
    so that any change of it counts.
    """
    try:
        value = _load(raw)
        try:
            return _render(value, canon)
        except orjson.JSONEncodeError:
            # Half a surrogate pair is no text that can be encoded: it is spelled out behind a zero character (which is
            # doubled where it stands itself), and the whole is told from texts without any by the one in front.
            text = _SURROGATE.sub(_spell_out, raw)
            return b"\0" + _render(json.loads(text, parse_float=_number, parse_int=_number), canon)
    except (ValueError, ArithmeticError, RecursionError):
        return raw


def _load(raw: bytes) -> Any:
    shape = raw.translate(_SHAPE)
    if _LONG_NUMBER not in shape and _TINY_NUMBER not in shape:
        with contextlib.suppress(orjson.JSONDecodeError):  # half a surrogate pair, or a number beyond a double
            return orjson.loads(raw)
    return json.loads(raw, parse_float=_number, parse_int=_number)


def _render(value: Any, canon: Canon) -> bytes:
    for path in canon.volatile:
        _leave_out(value, path.split("."))
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _spell_out(escape: re.Match[bytes]) -> bytes:
    backslashes, code = escape.groups()
    return backslashes + rb"\u0000" + (rb"\u0000" if code == b"u0000" else code)


def _number(text: str) -> Any:
    """A float or int where it says all, else the digits themselves, in one spelling for one value."""
    if "." not in text and "e" not in text and "E" not in text:
        whole = int(text) if len(text) < 4000 else None
        if whole is not None and -(1 << 63) <= whole < 1 << 64:
            return whole
        return orjson.Fragment(text.encode())
    exact = Decimal(text)
    close = float(text)
    if close - close == 0 and Decimal(repr(close)) == exact:
        return close
    sign, digits, exponent = exact.as_tuple()
    spelled = "".join(map(str, digits)).rstrip("0")
    scale = int(exponent) + len(digits) - len(spelled)
    return orjson.Fragment(f"{'-' if sign else ''}{spelled}e{scale}".encode())


def _leave_out(value: Any, path: list[str]) -> None:
    if isinstance(value, list):
        for element in value:
            _leave_out(element, path)
    elif isinstance(value, dict):
        if len(path) == 1:
            value.pop(path[0], None)
        else:
            _leave_out(value.get(path[0]), path[1:])
