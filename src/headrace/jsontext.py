"""Strict JSON: what a request may hold, and text that keeps every digit.

`loads` refuses what other readers quietly change: doubled keys (one of the two would be lost), lone surrogates and
U+0000 (PostgreSQL cannot store them), NaN and Infinity (they are not JSON). Numbers that Python would round come back
as `Digits`, so that `dumps` writes them as they were sent: 1.0 stays 1.0, 0.1000 stays 0.1000, and an integer of forty
digits stays whole.
"""

import json
import re
from collections import Counter
from typing import Any, NoReturn, Self

import orjson

MAX_DEPTH = 100
"""Arrays and objects within each other: deeper JSON is refused, since PostgreSQL and readers recurse."""

_MOST_DIGITS = 16_000
"""Written out in full; PostgreSQL's numeric, which jsonb is made of, holds 16 383 digits after the point."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class NotJson(ValueError):
    """The text is not JSON (RFC 8259). The message says where and why."""


class NotStorable(ValueError):
    """It is JSON, but part of it would be lost or could not be stored. `path` leads there by keys and positions."""

    def __init__(self, path: tuple[str | int, ...], reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


class Digits(float):
    """A number that keeps the text in which it was written. As a float it is the nearest one (or an infinity)."""

    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text


class _Doubled(dict[str, Any]):
    """An object in which `key` stands twice; found by the walk, which knows the path."""

    key: str


def loads(body: bytes | str) -> Any:
    """The value of a JSON text in UTF-8.

    Raises `NotJson` when it is none, and `NotStorable`, with the path to it, for a doubled key, a lone surrogate,
    U+0000, more than `MAX_DEPTH` levels, or a number out of the range of PostgreSQL's numeric.
    """
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not UTF-8 (byte {error.start})") from None
    reader = _Reader()
    try:
        value = reader.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg[:1].lower()}{error.msg[1:]} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise NotStorable((), f"is nested deeper than {MAX_DEPTH} levels") from None
    # A surrogate and U+0000 can be written as an escape only: without one, nothing but what the reader saw is wrong.
    if reader.suspicious or "\\" in text or text.count("[") + text.count("{") > MAX_DEPTH or isinstance(body, str):
        _walk(value, (), 0)
    return value


class _Reader(json.JSONDecoder):
    """Reads one text, and notes whether it holds what must be looked at again: a doubled key, or kept digits."""

    def __init__(self) -> None:
        self.suspicious = False
        super().__init__(
            object_pairs_hook=self._object, parse_float=self._kept, parse_int=self._integer, parse_constant=_constant
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        self.suspicious = True
        doubled = _Doubled(made)
        doubled.key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        return doubled

    def _kept(self, text: str) -> Digits:
        self.suspicious = True
        return Digits(text)

    def _integer(self, text: str) -> int | Digits:
        return int(text) if len(text) <= 18 and text != "-0" else self._kept(text)


def dumps(value: Any) -> bytes:
    """The compact JSON text of what `loads` gave, digits as they were sent; `orjson.Fragment`s are spliced as is."""
    return orjson.dumps(value, default=_digits)


def pretty(value: Any) -> str:
    """The same for people to read: indented, every digit as it was sent."""
    return orjson.dumps(value, default=_digits, option=orjson.OPT_INDENT_2).decode()


def _digits(value: object) -> orjson.Fragment:
    if isinstance(value, Digits):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _constant(text: str) -> NoReturn:
    raise NotJson(f"{text} is not JSON")


def _walk(value: Any, path: tuple[str | int, ...], depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, Digits):
        _check_number(value.text, path)
    elif isinstance(value, dict):
        _check_depth(path, depth)
        for key in value:
            _check_text(key, path)
        if isinstance(value, _Doubled):
            raise NotStorable((*path, value.key), "stands twice in the same object")
        for key, inner in value.items():
            _walk(inner, (*path, key), depth + 1)
    elif isinstance(value, list):
        _check_depth(path, depth)
        for position, inner in enumerate(value):
            _walk(inner, (*path, position), depth + 1)


def _check_depth(path: tuple[str | int, ...], depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise NotStorable(path[:1], f"is nested deeper than {MAX_DEPTH} levels")


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if "\0" in text:
        raise NotStorable(path, "holds the character U+0000, which cannot be stored")
    if _SURROGATES.search(text):
        raise NotStorable(path, "holds half of a surrogate pair, which is no character")


def _check_number(text: str, path: tuple[str | int, ...]) -> None:
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) + abs(_clamped(exponent)) > _MOST_DIGITS:
        raise NotStorable(path, "is a number out of range")


def _clamped(exponent: str) -> int:
    """The exponent, cut short where it has so many digits that its value no longer matters."""
    return int(exponent or "0") if len(exponent) < 20 else _MOST_DIGITS
