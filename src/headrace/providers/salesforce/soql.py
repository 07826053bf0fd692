"""SOQL: the queries that are asked, as text, and the requests that carry them.

Sources: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl (date formats, quoted strings, ORDER
BY, LIMIT), .../api_rest (Query, QueryAll, nextRecordsUrl), .../salesforce_app_limits_cheatsheet.meta (length of a URI).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus

from headrace.providers.kit import Context, Request, Window
from headrace.providers.salesforce.access import path

ROWS = 2_000
"""The most rows of one answer; wide ones come in smaller batches."""

FIELDS_LENGTH = 11_000
"""Bytes of field names, as they stand in the URI: 16 384 are the most that a URI may have."""


def moment(value: datetime) -> str:
    """A literal: in UTC, to the millisecond, which is the finest that SOQL knows; the first one that is not before
    `value`. So `>=` and `<` against it hold for the same times of a field as against `value` itself."""
    utc = value.astimezone(UTC)
    utc += timedelta(microseconds=-utc.microsecond % 1000)
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def text(value: str) -> str:
    """A literal in quotes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def within(field: str | None, window: Window) -> list[str]:
    """The window as conditions."""
    if field is None:
        return []
    bounds = ((">=", window.lo), ("<", window.hi))
    return [f"{field} {sign} {moment(bound)}" for sign, bound in bounds if bound is not None]


@dataclass(frozen=True, slots=True)
class Query:
    """`SELECT … FROM name WHERE conditions ORDER BY order LIMIT limit`; `order` and `limit` may be missing."""

    name: str
    conditions: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    limit: int | None = None

    def soql(self, fields: Sequence[str]) -> str:
        parts = ["SELECT", ",".join(fields), "FROM", self.name]
        if self.conditions:
            parts.append("WHERE " + " AND ".join(self.conditions))
        if self.order:
            parts.append("ORDER BY " + ",".join(self.order))
        if self.limit is not None:
            parts.append(f"LIMIT {self.limit}")
        return " ".join(parts)

    def request(self, ctx: Context, fields: Sequence[str], accept: tuple[int, ...] = ()) -> Request:
        """Deleted and archived rows are asked for too."""
        return Request(f"{path(ctx.properties)}/queryAll", query=(("q", self.soql(fields)),), accept=accept)


def portions(fields: Sequence[str], always: Sequence[str]) -> list[list[str]]:
    """The fields in as many portions as the length of a URI needs; `always` stand in each."""
    found: list[list[str]] = []
    length = FIELDS_LENGTH
    for name in (*always, *(name for name in fields if name not in always)):
        cost = len(quote_plus(name)) + len("%2C")
        if length + cost > FIELDS_LENGTH:
            found.append(list(always) if found else [])
            length = sum(len(each) + len("%2C") for each in found[-1])
        found[-1].append(name)
        length += cost
    return found
