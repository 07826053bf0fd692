"""Reading GitHub's lists: page by page along the Link header, by keyset where a list can be read from a time on.

Servers that speak GitHub's language may page by number and send no Link header: there the next number is asked for
while pages are full.

Sources: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api, and the pages of the
single lists. `since` is in whole seconds and includes them.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from headrace.http import TOO_LARGE, Request, Response
from headrace.providers.github.access import is_limited, message_of
from headrace.providers.github.places import CORE, UNASKED_PAGE, get, key_of, path_of
from headrace.providers.github.standing import at
from headrace.providers.kit import (
    Context,
    Cursor,
    Fault,
    Faulted,
    Item,
    Page,
    PageFunction,
    Probe,
    Record,
    Rows,
    Steps,
    Window,
)
from headrace.providers.kit.pagers import at_url, next_link, stuck
from headrace.providers.kit.rows import Body, Path, Reader, decoded

REFUSALS = (403, 404, 409, 410, 451)
TOO_MUCH = (502, 504, TOO_LARGE)
SMALLEST = 25
SECOND = timedelta(seconds=1)


# ─────────────────────────────── one page ──────────────────────────────


def read(
    ctx: Context, begin: Request, rows: Path | None = None, cursor: Cursor | None = None, *, numbered: bool = True
) -> Generator[Request, Response, Rows]:
    """The page of `begin`, or the one that the cursor of the page before leads to. A list that is refused for what the
    repository is (empty, without issues, out of sight by now) has no rows and is `gone`; raises Faulted where a
    permission is missing. A page that takes GitHub too long (502, 504), or is larger than is read, is asked for in
    halves: the first of them comes, and leads on in its own size."""
    request = begin_at(begin, cursor)
    while True:
        smaller = _half(request)
        response = yield replace(request, accept=REFUSALS if smaller is None else (*REFUSALS, *TOO_MUCH))
        if smaller is None or response.status not in TOO_MUCH:
            break
        request = smaller
    if response.status >= 300:
        yield from _excuse(ctx, response)
        return Rows([], response.sent_at, gone=True)
    body = Body(rows)
    answer = decoded(lambda: body.read(response))
    after = following(ctx, request, response, len(answer.rows), cursor, numbered=numbered)
    return Rows(answer.rows, response.sent_at, after)


def begin_at(begin: Request, cursor: Cursor | None) -> Request:
    """The request of the page that the cursor leads to; of the first one where it leads to none. Raises Faulted where
    that is the page that led there: such a list would never end."""
    if cursor is not None and cursor.get("itself"):
        raise stuck("its Link header names the page itself as the next one")
    return at_url(begin, cursor["url"]) if cursor is not None and "url" in cursor else begin


def _half(request: Request) -> Request | None:
    """The first half of a page; None where it is small enough. Page numbers count pages of the size asked for."""
    asked = dict(request.query)
    size, number = asked.get("per_page", ""), asked.get("page", "1")
    if not size.isdecimal() or not number.isdecimal() or int(size) < 2 * SMALLEST or int(size) % 2:
        return None
    asked["per_page"] = str(int(size) // 2)
    if "page" in asked:
        asked["page"] = str(2 * int(number) - 1)
    return replace(request, query=tuple(asked.items()))


def following(
    ctx: Context,
    request: Request,
    response: Response,
    rows: int,
    cursor: Cursor | None = None,
    *,
    numbered: bool = True,
) -> Cursor | None:
    """Where the list goes on after the page that `request` asked for, to which `cursor` led; None: it ends here.

    The Link header says so. Its path is followed as it is, which may be another one (`/repositories/{id}/…`); its host
    is not: credentials stay where they belong. What a server behind a proxy writes without a host is meant from where
    the answer came. Where no Link header came at all, a list that is `numbered` goes on after a page that is full.
    A link to the page that it came with is told by the request for the next one (`begin_at`), when the rows of this one
    are kept.
    """
    header = response.headers.get("link", "")
    url = next_link(header)
    if url is None:
        return _numbered(request, response, rows, cursor) if numbered and not header else None
    parts = urlsplit(urljoin(response.url, url))
    prefix = urlsplit(str(ctx.properties.get("base_url") or "")).path.rstrip("/")
    after: Cursor = {"url": f"{parts.path.removeprefix(prefix)}?{parts.query}"}
    return {**after, "itself": True} if at_url(request, after["url"]) == request else after


def _numbered(request: Request, response: Response, rows: int, cursor: Cursor | None) -> Cursor | None:
    """The next number, after a page that has all the rows that were asked for, or that come where `per_page` is not
    heeded. GitHub sends no Link header where one page holds everything: a list of just so many rows costs it another
    request, of an empty page. A server that has no pages at all shows the same one again, which the cursor knows by
    what was `shown` before, and that is the end."""
    asked = dict(request.query)
    number, shown = asked.get("page", "1"), sha256(response.body).hexdigest()[:16]
    full = str(rows) == asked.get("per_page") or rows == UNASKED_PAGE
    if not full or not number.isdecimal() or (cursor or {}).get("shown") == shown:
        return None
    asked["page"] = str(int(number) + 1)
    return {"url": f"{request.url}?{urlencode(asked)}", "shown": shown}


_OFF = re.compile(r"disabled|not enabled|must be enabled|is empty|no analysis found|not available|unavailable", re.I)


def _excuse(ctx: Context, response: Response) -> Generator[Request, Response, None]:
    """Return where a list that is refused is as good as empty; raise Faulted where it is not.

    409 is a repository without a commit, 410 one without issues, 451 one that was taken down. 403 and 404 say in words
    that a feature is off; else 403 is a permission that is missing, and so is 404 while the repository itself can be
    read: GitHub hides what may not be seen. A repository that cannot be read any more was taken away meanwhile; what
    becomes of its records, the next whole reading of the repositories tells.
    """
    message = message_of(response)
    if is_limited(response):
        raise Faulted(Fault("rate", message))
    if response.status in (409, 410, 451) or _OFF.search(message):
        return
    if response.status == 404 and ctx.partition is not None:
        above = yield Request(path_of(ctx.partition), limit_class=CORE, accept=REFUSALS)
        if above.status >= 300 or above.json().get("has_issues") is False:
            return
    raise Faulted(Fault("permission", f"{message} ({urlsplit(response.url).path}): a permission may be missing"))


# ─────────────────────────────── the kinds ──────────────────────────────


@dataclass(frozen=True, slots=True)
class Rowed:
    """A list below each repository or organisation: `path` under it, with `query`; `rows` is where its rows are; `own`:
    its rows' ids are their own within the partition only, whose key then comes before them (`1296269/main`). `one` is
    where a single object is asked for (`standing.at`), None: where it cannot be, or where that tells nothing of
    whether the list still has it. `numbered`: its pages have numbers; some lists go by cursors alone."""

    path: str
    reader: Reader
    query: tuple[tuple[str, str], ...] = ()
    rows: Path | None = None
    own: bool = False
    one: str | None = None
    numbered: bool = True

    @property
    def probe(self) -> Probe | None:
        if self.one is None:
            return None
        return at(self.one, lambda record, row: self.record(str(record.partition), row, record.as_of).id)

    def request(self, partition: str | None) -> Request:
        return get(path_of(partition) + self.path, *self.query)

    def record(self, partition: str, row: Any, as_of: datetime) -> Record:
        """A row as a Record, whose parent is the repository or organisation unless the row names another."""
        made = self.reader(row, as_of, partition)
        key = key_of(partition)
        if self.own:
            made.id = f"{key}/{made.id}"
        if made.parent is None:
            made.parent = key
        return made

    def read(self, ctx: Context, begin: Request, cursor: Cursor | None = None) -> Generator[Request, Response, Rows]:
        """`read` for this list."""
        return read(ctx, begin, self.rows, cursor, numbered=self.numbered)

    def records(self, ctx: Context, read: Rows) -> list[Record]:
        assert ctx.partition is not None
        partition = ctx.partition
        return [self.record(partition, row, read.as_of) for row in read.rows]

    def whole(self, *between: str) -> PageFunction:
        """All of it, along the Link header; `between` names the parameters of a window's two ends, if there are any."""

        def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
            begin = self.request(ctx.partition).with_query(*ends(window, between))
            found = yield from self.read(ctx, begin, cursor)
            records = self.records(ctx, found)
            return Page(_items(records, window, "created") if between else [*records], next=found.next)

        return page


def ends(window: Window, between: tuple[str, ...]) -> list[tuple[str, str]]:
    """The parameters of the window's two ends, as far as it has them and the list takes them."""
    return [(name, stamp(end)) for name, end in zip(between, (window.lo, window.hi), strict=False) if end]


def _items(records: list[Record], window: Window, time: str = "updated") -> list[Item]:
    """The records within the window, by that time of theirs; those without it are within every one."""
    return [record for record in records if _within(getattr(record, time), window)]


def _within(moment: datetime | None, window: Window) -> bool:
    if moment is None:
        return True
    return (window.lo is None or moment >= window.lo) and (window.hi is None or moment < window.hi)


def stamp(moment: datetime) -> str:
    """A moment in the whole seconds that GitHub takes."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def since(listed: Rowed) -> PageFunction:
    """A list that takes `since`, sorted by update, oldest first, by keyset: each page begins a second before the last
    row of the page before. So a row that changes meanwhile, or goes, moves no other one over the edge of a page, which
    is what page numbers would lead to. Where that would show the same page again (more rows in two seconds than it
    holds), and where a server neither sorts nor filters, the Link header leads on."""

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        place = cursor or {}
        bound = place.get("since") or (stamp(window.lo) if window.lo else None)
        begin = listed.request(ctx.partition).with_query(("sort", "updated"), ("direction", "asc"))
        found = yield from listed.read(ctx, begin if bound is None else begin.with_query(("since", bound)), place)
        records = listed.records(ctx, found)
        times = [record.updated for record in records if record.updated is not None]
        ordered = len(times) == len(records) and times == sorted(times) and _from(times, bound)
        plain = bool(place.get("plain")) or not ordered
        if found.next is None or (not plain and window.hi is not None and times and times[-1] >= window.hi):
            return Page(_items(records, window))
        step = None if plain or not times else stamp(times[-1] - SECOND)
        if step is not None and step > stamp(times[0]):
            return Page(_items(records, window), next={"since": step})
        return Page(_items(records, window), next={**found.next, "since": bound, "plain": plain})

    return page


def _from(times: list[datetime], bound: str | None) -> bool:
    return not times or bound is None or stamp(times[0]) >= bound


def newest(listed: Rowed, time: str, sort: tuple[tuple[str, str], ...] = ()) -> PageFunction:
    """A list sorted by `time` (`updated` or `created`), newest first, which is read down to where the window begins.

    What changes meanwhile comes to the head, which a later window reads; what it pushes down is read twice.
    """

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        begin = listed.request(ctx.partition).with_query(*sort)
        found = yield from listed.read(ctx, begin, cursor)
        records = listed.records(ctx, found)
        times = [moment for record in records if (moment := getattr(record, time)) is not None]
        older = window.lo is not None and bool(times) and max(times) < window.lo
        return Page(_items(records, window, time), next=None if older else found.next)

    return page


def by_birth(listed: Rowed) -> PageFunction:
    """A list that takes a range of `created` and shows the newest thousand of it, by keyset: each page asks for what
    was born up to the last row of the page before (https://docs.github.com/en/rest/actions/workflow-runs: "up to 1,000
    results for each search")."""

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        place = cursor or {}
        until = place.get("until") or (stamp(window.hi) if window.hi else None)
        begin = listed.request(ctx.partition).with_query(*_born(window.lo, until))
        found = yield from listed.read(ctx, begin, place)
        records = listed.records(ctx, found)
        times = [record.created for record in records if record.created is not None]
        ordered = len(times) == len(records) and times == sorted(times, reverse=True)
        plain = (
            bool(place.get("plain")) or not ordered or (until is not None and bool(times) and stamp(times[0]) > until)
        )
        items = _items(records, window, "created")
        if found.next is None:
            return Page(items)
        step = None if plain or not times else stamp(times[-1])
        if step is not None and step < stamp(times[0]):
            return Page(items, next={"until": step})
        return Page(items, next={**found.next, "until": until, "plain": plain})

    return page


def _born(lo: datetime | None, until: str | None) -> tuple[tuple[str, str], ...]:
    if lo is None and until is None:
        return ()
    if until is None:
        assert lo is not None
        return (("created", f">={stamp(lo)}"),)
    return (("created", f"<={until}" if lo is None else f"{stamp(lo)}..{until}"),)
