"""Records that came and cannot be taken in: nested too deep to be read, too large, or no text. Each is told apart, so
that one does not keep back all that came beside it.
"""

import re
import secrets

from headrace.stream.codec import refusal
from headrace.stream.columns import text
from headrace.stream.items import Delete, Mention, Record

DEEPEST = 800
"""So many levels of a document are left in it. The parsers take about a thousand, less what the stack holds."""

_FIRST = b"~"
_MARK = _FIRST + secrets.token_hex(16).encode()
"""What stands in the place of what was cut away; made anew by each process, so that no provider can send it. It begins
with a character that few texts have, and that no writer of JSON escapes: to look for that one is a third of the work of
looking for all of it."""
_PAIR_OR_HALF = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_HALF_PUT_AWAY = re.compile(_MARK + rb"(u[0-9a-fA-F]{4})")
_MARK_IN_TEXT = _MARK.decode()
_ESCAPED = re.compile(r"%00|%ud[89a-f][0-9a-f]{2}", re.IGNORECASE)
_BRACKET_OR_STRING = re.compile(rb'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def legible(document: bytes) -> bytes:
    """A JSON document as the parsers take it: with what lies too deep cut away, and with a mark in the place of each
    half of a surrogate pair, which JSON's grammar allows (RFC 8259 §8.2) and they refuse. `as_sent` undoes the latter
    in the record that has it. What is no JSON stays none."""
    return cut(_PAIR_OR_HALF.sub(_put_away, document))


def _put_away(escape: re.Match[bytes]) -> bytes:
    half: bytes | None = escape.group(1)
    return escape.group() if half is None else _MARK + half


def as_sent(raw: bytes) -> bytes:
    """A record's text of a document that was made legible, as the provider sent it."""
    return _HALF_PUT_AWAY.sub(rb"\\\1", raw) if _is_marked(raw) else raw


def _is_marked(raw: bytes) -> bool:
    return _FIRST in raw and _MARK in raw


def cut(document: bytes) -> bytes:
    """A JSON document with what lies deeper than `DEEPEST` levels cut away, so that it can be read: a record that lost
    something by it is unfit, the others are what they were. What is no JSON stays none."""
    parts: list[bytes] = []
    depth = kept = 0
    for token in _BRACKET_OR_STRING.finditer(document):
        first = document[token.start()]
        if first in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                parts += document[kept : token.start()], b'"%b"' % _MARK
                kept = len(document)
        elif first in b"]}":
            if depth == DEEPEST + 1:
                kept = token.end()
            depth -= 1
    return b"".join([*parts, document[kept:]])


def why_unfit(record: Record) -> str | None:
    """Why the record cannot be stored, in words; None: it can."""
    if (reason := refusal(record.raw)) is not None:
        return f"it {reason}"
    if _is_marked(record.raw):
        return "it is nested deeper than can be read, which is about a thousand levels"
    return None


def why_unnamed(item: Record | Delete | Mention) -> str | None:
    """Why nothing can be held under the item's id, or its parent's, in words; None: it can."""
    if _MARK_IN_TEXT in item.id or (item.parent is not None and _MARK_IN_TEXT in item.parent):
        return "its id holds half of a surrogate pair, which is no character"
    return None


def spelled(name: str) -> str:
    """An id as it is noted: with what no text column holds spelled out."""
    return text(name).replace(f"{_MARK_IN_TEXT}u", "%u")


def is_spelled(name: str) -> bool:
    """Whether a noted id may be another than the provider's, so that it is not asked for by it."""
    return _ESCAPED.search(name) is not None
