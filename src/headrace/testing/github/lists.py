"""GitHub's lists: which rows, in which order, cut into which pages, with which Link header and ETag.

Sources: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api; the Link header's path
`/repositories/{id}/…` was seen in recorded answers (octokit/fixtures, paginate-issues).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import orjson

from headrace.testing.exchange import Call, Reply
from headrace.testing.github.catalog import Resource
from headrace.testing.github.world import Repository, Thing

DEFAULT_SIZE, LARGEST_SIZE = 30, 100


class BadQuery(ValueError):
    """A parameter that GitHub answers with 422."""


def rows_of(place: Repository, found: Resource, under: int | None, query: Mapping[str, str]) -> list[Thing]:
    """The rows that a query asks for, in its order."""
    rows = [thing for thing in place.things[found.name].values() if under is None or thing.under == under]
    if found.states and (state := query.get("state", "open")) != "all":
        rows = [thing for thing in rows if thing.data.get("state") == state]
    if (found.since or found.between) and "since" in query:
        lo = _seconds(query["since"])
        rows = [thing for thing in rows if (thing.changed if found.since else thing.born) >= lo]
    if found.between and "until" in query:
        hi = _seconds(query["until"])
        rows = [thing for thing in rows if thing.born <= hi]
    if found.created and "created" in query:
        first, last = _range(query["created"])
        rows = [thing for thing in rows if first <= thing.born <= last]
    sort = query.get("sort", found.order)
    if found.sorts and sort not in (*found.sorts, "comments", "number"):
        raise BadQuery(f"sort cannot be {sort}")
    down = query.get("direction", "desc") == "desc" if found.sorts and "direction" in query else found.descends
    if found.sorts and "sort" in query and "direction" not in query:
        down = True
    if sort == "updated":
        rows.sort(key=lambda thing: (thing.changed, thing.order), reverse=down)
    elif sort == "name":
        rows.sort(key=lambda thing: str(thing.data.get("name")), reverse=down)
    else:
        rows.sort(key=lambda thing: (thing.born, thing.order), reverse=down)
    return rows if found.cap is None or "created" not in query else rows[: found.cap]


def _seconds(text: str) -> int:
    """A time in ISO 8601, in the whole second in which it lies."""
    try:
        moment = datetime.fromisoformat(text.strip('"'))
    except ValueError:
        raise BadQuery(f"{text!r} is no time") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _range(text: str) -> tuple[float, float]:
    """The range syntax of GitHub's search: `>=a`, `<=b`, `a..b`, with `*` for an open end."""
    if text.startswith(">="):
        return _seconds(text[2:]), float("inf")
    if text.startswith("<="):
        return float("-inf"), _seconds(text[2:])
    first, dots, last = text.partition("..")
    if not dots:
        day = _seconds(text)
        return day, day + 86_399
    return (
        float("-inf") if first == "*" else _seconds(first),
        float("inf") if last == "*" else _seconds(last),
    )


def number_of(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and int(value) > 0 else default


def page_of(rows: list[Any], query: Mapping[str, str], *, cursors: bool) -> tuple[list[Any], dict[str, str]]:
    """The page asked for, and where the relations of its Link header lead: parameters that take the place of those of
    the query. Lists with cursors go by `after`, the others by `page`."""
    size = min(number_of(query, "per_page", DEFAULT_SIZE), LARGEST_SIZE)
    if cursors:
        first = number_of(query, "after", 0)
        more = first + size < len(rows)
        return rows[first : first + size], {"next": f"after={first + size}"} if more else {}
    page = number_of(query, "page", 1)
    last = max(1, -(-len(rows) // size))
    links = {"next": f"page={page + 1}", "last": f"page={last}"} if page < last else {}
    if page > 1:
        links |= {"prev": f"page={page - 1}", "first": "page=1"}
    return rows[(page - 1) * size : page * size], links


def link_header(base: str, path: str, query: Mapping[str, str], links: Mapping[str, str]) -> str:
    written = []
    for relation, parameter in links.items():
        name, _, value = parameter.partition("=")
        pairs = {**{key: each for key, each in query.items() if key not in ("page", "after", "before")}, name: value}
        written.append(f'<{base}{path}?{urlencode(pairs)}>; rel="{relation}"')
    return ", ".join(written)


def tagged(call: Call, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """The answer with its ETag, or 304 without a body where the caller holds it already (RFC 9110 §13.1.2)."""
    tag = f'W/"{sha256(body + repr(headers).encode()).hexdigest()}"'
    given = [each.strip().removeprefix("W/") for each in call.headers.get("if-none-match", "").split(",")]
    if tag.removeprefix("W/") in given:
        return Reply(304, b"", (("ETag", tag),))
    return Reply(200, body, (*headers, ("ETag", tag)))


def wrapped(found_wrap: str | None, rows: list[Any], total: int) -> bytes:
    return orjson.dumps(rows if found_wrap is None else {"total_count": total, found_wrap: rows})
