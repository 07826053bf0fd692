"""Statements that stand in `.sql` files beside the module that uses them, a named block each.

    -- name: insert_records
    -- What the statement does, in a line.
    insert into records ...

Load a file and take its blocks at module level, so that a name that is not there is an error at import:

    SQL = load(__package__, "append.sql")
    INSERT_RECORDS = SQL.insert_records
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import TypeAlias, cast
from uuid import UUID

_PARAMETER = re.compile(r"\$(\d+)")
_COMMENT = re.compile(r"--.*\n")
_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


class Queries:
    """The named blocks of one file, as attributes."""

    def __init__(self, source: str, blocks: dict[str, str]) -> None:
        self._source = source
        self._blocks = blocks

    def __getattr__(self, name: str) -> str:
        try:
            return self._blocks[name]
        except KeyError:
            known = ", ".join(sorted(self._blocks))
            raise AttributeError(f"{self._source} has no statement named {name}; it has: {known}") from None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(name, statement) of each block, in the order of the file."""
        return iter(self._blocks.items())


def load(package: str | None, filename: str) -> Queries:
    """Read `filename` beside `package` (give `__package__`). A name given twice, or an empty block, is a ValueError."""
    if package is None:
        raise ValueError(f"{filename} stands beside a package's module; give __package__")
    return parse(f"{package}/{filename}", files(package).joinpath(filename).read_text("utf-8"))


def parse(source: str, text: str) -> Queries:
    blocks: dict[str, str] = {}
    marks = list(_NAME.finditer(text))
    if not marks:
        raise ValueError(f"{source} names no statement; each begins with a line `-- name: its_name`")
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        name = mark.group(1)
        statement = text[mark.end() : following.start() if following else len(text)].strip()
        if name in blocks:
            raise ValueError(f"{source} names {name} twice")
        if not re.sub(r"--.*", "", statement).strip():
            raise ValueError(f"{source} has nothing under the name {name}")
        blocks[name] = statement
    return Queries(source, blocks)


Inlined: TypeAlias = UUID | int | datetime | Sequence[UUID] | Sequence[int] | None


def inline(statements: str, *values: Inlined) -> str:
    """The statements with `values` written in for $1, $2, …, for the simple protocol: several statements in one trip
    to the server, which takes no parameters. No text among them: nothing that could end a literal."""
    texts, places = _template(statements)
    written = [_literal(value) for value in values]
    return "".join([texts[0], *(written[place] + text for place, text in zip(places, texts[1:], strict=True))])


@lru_cache(maxsize=256)
def _template(statements: str) -> tuple[list[str], list[int]]:
    """What stands between the parameters, and which they are."""
    parts = _PARAMETER.split(_COMMENT.sub("", statements))
    return parts[::2], [int(number) - 1 for number in parts[1::2]]


def _literal(value: Inlined) -> str:
    if value is None:
        return "null"
    if isinstance(value, UUID):
        return f"'{value}'::uuid"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{int(value)}"
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'::timestamptz"
    if isinstance(value, str | bytes):
        raise TypeError("text is not written into statements")
    if value and isinstance(value[0], UUID):
        ids = cast("Sequence[UUID]", value)
        return f"'{{{','.join([each.bytes.hex() for each in ids])}}}'::uuid[]"  # str() takes twenty times as long
    return f"'{{{','.join([str(int(each)) for each in value])}}}'::bigint[]"
