"""Airtable's language of formulas, as far as filters need it: calls, comparisons, fields, texts and numbers.

Source: https://support.airtable.com/docs/formula-field-reference. What is not here is an invalid formula.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Row = Callable[[str], Any]
"""The value of a field by name or id; `now`-like facts by the name of the function that tells them."""
Test = Callable[[Row], Any]

_TOKENS = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<number>\d+(?:\.\d+)?)|(?P<field>\{[^}]*\})"""
    r"""|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign><=|>=|!=|[=<>(),]))"""
)


class InvalidFormula(ValueError):
    """The formula is none, or needs what is not here."""


def compiled(text: str) -> Test:
    """The formula as a function of a row. Raises InvalidFormula."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKENS.match(text, at)
        if found is None:
            raise InvalidFormula(f"not understood from {text[at : at + 20]!r} on")
        tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
        at = found.end()
    parser = _Parser(tokens)
    test = parser.comparison()
    if parser.tokens:
        raise InvalidFormula(f"something follows the formula's end: {parser.tokens[0][1]!r}")
    return test


def holds(value: Any) -> bool:
    """Whether a filter takes a record: not for 0, false, "", NaN, [] or an error."""
    return bool(value) and not isinstance(value, dict)


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens

    def comparison(self) -> Test:
        left = self._operand()
        if self.tokens and self.tokens[0][1] in _COMPARED:
            compare = _COMPARED[self.tokens.pop(0)[1]]
            right = self._operand()
            return lambda row: compare(left(row), right(row))
        return left

    def _operand(self) -> Test:
        if not self.tokens:
            raise InvalidFormula("it ends too early")
        kind, word = self.tokens.pop(0)
        match kind:
            case "text":
                text = re.sub(r"\\(.)", r"\1", word[1:-1])
                return lambda row: text
            case "number":
                number = float(word)
                return lambda row: number
            case "field":
                return lambda row: row(word[1:-1])
            case "name":
                return self._call(word.upper()) if self._next_is("(") else lambda row: row(word)
        if word == "(":
            inner = self.comparison()
            self._take(")")
            return inner
        raise InvalidFormula(f"{word!r} stands where a value was due")

    def _call(self, name: str) -> Test:
        self._take("(")
        arguments: list[Test] = []
        while not self._next_is(")"):
            arguments.append(self.comparison())
            if not self._next_is(")"):
                self._take(",")
        self._take(")")
        if name in ("LAST_MODIFIED_TIME", "CREATED_TIME", "RECORD_ID") and not arguments:
            return lambda row: row(f"{name}()")
        if name == "IF" and len(arguments) in (2, 3):
            first, then, *other = arguments
            return lambda row: then(row) if holds(first(row)) else (other[0](row) if other else None)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise InvalidFormula(f"the function {name} is not known here")
        return lambda row: function(*(each(row) for each in arguments))

    def _next_is(self, token: str) -> bool:
        return bool(self.tokens) and self.tokens[0][1] == token

    def _take(self, token: str) -> None:
        if not self._next_is(token):
            raise InvalidFormula(f"{token!r} is missing")
        self.tokens.pop(0)


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _compared_times(later: bool) -> Callable[[Any, Any], Any]:
    def compare(one: Any, other: Any) -> Any:
        first, second = _moment(one), _moment(other)
        if first is None or second is None:
            return {"error": "#ERROR!"}
        return first > second if later else first < second

    return compare


def _either(*values: Any) -> Any:
    return next((each for each in values if isinstance(each, dict)), any(map(holds, values)))


def _both(*values: Any) -> Any:
    return next((each for each in values if isinstance(each, dict)), all(map(holds, values)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "AND": _both,
    "OR": _either,
    "NOT": lambda value: not holds(value),
    "TRUE": lambda: True,
    "FALSE": lambda: False,
    "BLANK": lambda: None,
    "IS_AFTER": _compared_times(later=True),
    "IS_BEFORE": _compared_times(later=False),
    "DATETIME_PARSE": lambda text, *_: text,
    "LEN": lambda text: len(str(text or "")),
}
_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda one, other: one == other or (not one and not other),
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one is not None and one < other,
    ">": lambda one, other: one is not None and one > other,
    "<=": lambda one, other: one is not None and one <= other,
    ">=": lambda one, other: one is not None and one >= other,
}
