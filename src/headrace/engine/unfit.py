"""Records that came and cannot be taken in: nested too deep to be read, too large, or no text. Each is told apart, so
that one does not keep back all that came beside it.
"""

import re
import secrets

from headrace.stream.codec import refusal
from headrace.stream.items import Record

DEEPEST = 800
"""So many levels of a document are left in it. The parsers take about a thousand, less what the stack holds."""

_MARK = secrets.token_hex(16).encode()
"""What stands in the place of what was cut away; made anew by each process, so that no provider can send it."""
_BRACKET_OR_STRING = re.compile(rb'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


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
    if _MARK in record.raw:
        return "it is nested deeper than can be read, which is about a thousand levels"
    return None
