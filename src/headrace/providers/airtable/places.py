"""Where things are at Airtable, and what their requests have in common.

Sources: https://airtable.com/developers/web/api (list bases, get base schema, list records, list comments, rate
limits).
"""

from datetime import UTC, datetime
from urllib.parse import quote

from headrace.http import Request
from headrace.providers.kit.pagers import Token

ANY = "all"
"""The limit class of what belongs to no base."""
PAGE = 100
OFFSET = Token("offset", "offset")
SIZED = Token("offset", "offset", size=("pageSize", PAGE))
"""`offset` is absent, or null, on the last page."""
BY_ID = ("returnFieldsByFieldId", "true")
"""Cells by the ids of their fields: a field that is renamed keeps its id."""


NOT_TOLD = (400, 403, 404, 405, 422, 501)
"""How it is said, here or by what stands in for Airtable, that something is not to be had with this token and plan."""


def get(path: str, base: str, *query: tuple[str, str], accept: tuple[int, ...] = ()) -> Request:
    """A request that counts against the limit of its base."""
    return Request(path, query=query, limit_class=base, accept=accept)


def bases() -> Request:
    return Request("/v0/meta/bases", limit_class=ANY)


def tables(base: str, *, accept: tuple[int, ...] = ()) -> Request:
    return get(f"/v0/meta/bases/{base}/tables", base, accept=accept)


def records(base: str, table: str, *query: tuple[str, str], accept: tuple[int, ...] = ()) -> Request:
    return get(f"/v0/{base}/{segment(table)}", base, *query, accept=accept)


def record(base: str, table: str, key: str, *query: tuple[str, str], accept: tuple[int, ...] = ()) -> Request:
    return get(f"/v0/{base}/{segment(table)}/{segment(key)}", base, *query, accept=accept)


def segment(name: str) -> str:
    """An id as a segment of a path. Where tables are told by their names, it may be any text."""
    return quote(name, safe="")


def webhooks(base: str) -> str:
    return f"/v0/bases/{base}/webhooks"


def written(moment: datetime) -> str:
    """A time as Airtable writes it: in UTC, to the millisecond below."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
