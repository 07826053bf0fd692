"""SOQL, parsed and carried out: SELECT fields FROM object WHERE … ORDER BY … LIMIT … OFFSET.

Sources: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl (SELECT syntax, condition
expressions, date formats, ORDER BY: nulls come first, LIMIT, OFFSET up to 2 000, COUNT()). Not here: relationships,
aggregates beyond COUNT(), TYPEOF, date literals such as TODAY.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
Test = Callable[[Row], bool]


class Malformed(Exception):
    """The query cannot be parsed, or asks for what is not to be had. `code` is Salesforce's errorCode."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Condition:
    """`field op value`, of a conjunction at the top: what an index may serve."""

    field: str
    op: str
    value: Any


@dataclass(slots=True)
class Select:
    """A query. `tests` must all hold; `plain` are those of them that are plain comparisons."""

    fields: list[str]
    name: str
    tests: list[Test] = field(default_factory=list)
    plain: list[Condition] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0
    count: bool = False
    used: list[str] = field(default_factory=list)
    """The fields named in conditions and order."""


_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<string>'(?:[^'\\]|\\.)*')"
    r"|(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?)"
    r"|(?P<op><=|>=|!=|<>|=|<|>)"
    r"|(?P<mark>[(),])"
    r"|(?P<word>[A-Za-z_][\w.]*)"
    r")"
)
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def moment(value: datetime) -> str:
    """A time as the API writes it, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise Malformed("MALFORMED_QUERY", f"unexpected token: '{text[at : at + 20]}'")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
    return found


def parse(text: str) -> Select:
    """Raises Malformed."""
    return _Parser(_tokens(text)).select()


class _Parser:
    """By recursive descent."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._used: list[str] = []

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _is(self, *words: str) -> bool:
        ahead = self._tokens[self._at : self._at + len(words)]
        return [value.upper() for _, value in ahead] == list(words)

    def _take(self, *words: str) -> bool:
        if not self._is(*words):
            return False
        self._at += len(words)
        return True

    def _expect(self, *words: str) -> None:
        if not self._take(*words):
            raise Malformed("MALFORMED_QUERY", f"expecting '{' '.join(words)}', found '{self._peek()[1]}'")

    def _word(self) -> str:
        kind, value = self._next()
        if kind != "word":
            raise Malformed("MALFORMED_QUERY", f"unexpected token: '{value}'")
        return value

    def _whole(self) -> int:
        kind, value = self._next()
        if kind != "number" or not value.isdecimal():
            raise Malformed("MALFORMED_QUERY", f"expecting a number, found '{value}'")
        return int(value)

    def select(self) -> Select:
        self._expect("SELECT")
        count = self._take("COUNT", "(", ")")
        fields = [] if count else [self._word()]
        while not count and self._take(","):
            fields.append(self._word())
        self._expect("FROM")
        made = Select(fields, self._word(), count=count)
        if self._take("WHERE"):
            made.tests, made.plain = self._conjunction()
        if self._take("ORDER", "BY"):
            made.order = self._order()
        if self._take("LIMIT"):
            made.limit = self._whole()
        if self._take("OFFSET"):
            made.offset = self._whole()
        if self._peek()[0] != "end":
            raise Malformed("MALFORMED_QUERY", f"unexpected token: '{self._peek()[1]}'")
        made.used = self._used
        return made

    def _order(self) -> list[tuple[str, bool]]:
        found: list[tuple[str, bool]] = []
        while True:
            name = self._word()
            self._used.append(name)
            down = self._take("DESC")
            if not down:
                self._take("ASC")
            found.append((name, down))
            if not self._take(","):
                return found

    def _conjunction(self) -> tuple[list[Test], list[Condition]]:
        """The outermost expression; its comparisons are told apart where they are joined by AND alone."""
        plain: list[Condition] = []
        tests = [self._operand(plain)]
        while self._take("AND"):
            tests.append(self._operand(plain))
        if self._is("OR"):
            test = self._any_of(lambda row, tests=tests: all(each(row) for each in tests))  # type: ignore[misc]
            return [test], []
        return tests, plain

    def _any_of(self, first: Test) -> Test:
        choices = [first]
        while self._take("OR"):
            choices.append(self._operand([]))
        if self._is("AND"):
            raise Malformed("MALFORMED_QUERY", "AND and OR may not be mixed without parentheses")
        return lambda row: any(each(row) for each in choices)

    def _operand(self, plain: list[Condition]) -> Test:
        if self._take("NOT"):
            inner = self._operand([])
            return lambda row: not inner(row)
        if self._take("("):
            tests, _ = self._conjunction()
            self._expect(")")
            return lambda row: all(each(row) for each in tests)
        return self._comparison(plain)

    def _comparison(self, plain: list[Condition]) -> Test:
        name = self._word()
        self._used.append(name)
        negative = self._take("NOT")
        if self._take("IN", "("):
            values = {self._literal()}
            while self._take(","):
                values.add(self._literal())
            self._expect(")")
            if not negative:
                plain.append(Condition(name, "IN", values))
            return lambda row: (row.get(name) in values) != negative
        if self._take("LIKE"):
            pattern = re.escape(str(self._literal())).replace("%", ".*").replace("_", ".")
            matcher = re.compile(pattern, re.IGNORECASE | re.DOTALL)
            return lambda row: bool(matcher.fullmatch(str(row.get(name) or "")))
        kind, op = self._next()
        if kind != "op" or negative:
            raise Malformed("MALFORMED_QUERY", f"unexpected token: '{op}'")
        value = self._literal()
        plain.append(Condition(name, op, value))
        return _compared(name, op, value)

    def _literal(self) -> Any:
        kind, text = self._next()
        match kind:
            case "string":
                return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])
            case "datetime":
                return _to_the_millisecond(datetime.fromisoformat(text))
            case "date":
                return text
            case "number":
                return float(text) if "." in text else int(text)
            case "word" if text.lower() in ("true", "false", "null"):
                return {"true": True, "false": False, "null": None}[text.lower()]
        raise Malformed("MALFORMED_QUERY", f"unexpected token: '{text}'")


def _to_the_millisecond(value: datetime) -> str:
    utc = value.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03}+0000"


def _compared(name: str, op: str, value: Any) -> Test:
    match op:
        case "=":
            return lambda row: bool(row.get(name) == value)
        case "!=" | "<>":
            return lambda row: bool(row.get(name) != value)
        case "<":
            return lambda row: row.get(name) is not None and row[name] < value
        case "<=":
            return lambda row: row.get(name) is not None and row[name] <= value
        case ">":
            return lambda row: row.get(name) is not None and row[name] > value
        case _:
            return lambda row: row.get(name) is not None and row[name] >= value


def ordered(rows: list[Row], order: list[tuple[str, bool]]) -> list[Row]:
    """In this order; nulls come first."""
    for name, down in reversed(order):
        rows.sort(key=lambda row: (row.get(name) is not None, row.get(name)), reverse=down)
    return rows
