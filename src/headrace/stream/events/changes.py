"""What an event says of a change: the old values of the fields that changed."""

import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in the stubs

import msgspec
import orjson

from headrace.stream.hashes import canonical
from headrace.stream.items import Canon

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SLOW = json.JSONDecoder(parse_int=str, parse_float=str)  # digits are not looked at, however many
_SPACE = " \t\n\r"


def old_values(old: bytes, new: bytes, canon: Canon) -> bytes:
    """A JSON object: field → its value in `old`, byte for byte, for each field of the record that `new` has otherwise.

    A field that `old` did not have stands with null. Volatile fields are left out, and so are differences that are
    only in how a value is written. What is no object, or is nested too deeply to be taken apart, has no fields.
    """
    before, after = _fields(old), _fields(new)
    changed = [
        _name(name) + b":" + before.get(name, b"null")
        for name in {**before, **after}
        if name not in canon.volatile and not _same(before.get(name), after.get(name), _below(canon, name))
    ]
    return b"{" + b",".join(changed) + b"}"


def _same(one: bytes | None, other: bytes | None, canon: Canon) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or canonical(one, canon) == canonical(other, canon)


def _below(canon: Canon, name: str) -> Canon:
    """The canonical form of the values of one field."""
    return Canon(canon.version, tuple(path[len(name) + 1 :] for path in canon.volatile if path.startswith(name + ".")))


def _fields(raw: bytes) -> dict[str, bytes]:
    try:
        try:
            return {name: bytes(value) for name, value in _FIELDS.decode(raw).items()}
        except msgspec.ValidationError:
            return {}
        except msgspec.DecodeError:
            return _split(raw.decode())  # half a surrogate pair, which JSON's grammar allows
    except RecursionError:
        return {}


def _split(text: str) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    at = _skip(text, 0)
    if text[at] != "{":
        return fields
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = scanstring(text, at + 1)
        start = _skip(text, _skip(text, at) + 1)
        _, at = _SLOW.raw_decode(text, start)
        fields[name] = text[start:at].encode()
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return fields


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _name(name: str) -> bytes:
    try:
        return orjson.dumps(name)
    except orjson.JSONEncodeError:
        return json.dumps(name).encode()
