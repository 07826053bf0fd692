"""Short lists that are read whole, and only when their validator has changed: a feed of tokens (RFC 9110 §13, ETag).

The token holds the validator of each page of each list. A list none of whose pages has changed (304) is passed over;
any other is read anew. Since it is then known whole, what is not in it is gone: a ChildSet says so, whose parent is the
partition's key (`key_of`), which the records carry as well.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit.pagers import next_link, stuck
from headrace.providers.kit.readings import Context, Cursor, Feed, Page, Partitions, Steps, Window
from headrace.providers.kit.rows import Body, Path, Raw, decoded
from headrace.stream.items import ChildSet, Item, Record

REFUSED = (403, 404, 409, 410, 451)
_MOST_PAGES = 1_000
_MOST_READS = 3

Tags = list[str]


@dataclass(frozen=True, slots=True)
class Watched:
    """One list.

    `request(partition)` begins it; its pages are numbered from 1 by the parameter `page`. `full` are the numbers of
    rows after which another page may follow where no Link header says so. `record(partition, row, as_of)` makes a
    Record whose parent is `key_of(partition)`. A list that is refused is passed over: that it is, its collection's
    listing tells.
    """

    collection: str
    request: Callable[[str], Request]
    record: Callable[[str, Raw, datetime], Record]
    rows: Path | None = None
    page: str = "page"
    full: tuple[int, ...] = (100,)


def watch(
    name: str,
    lists: Sequence[Watched],
    partitions: Partitions | None,
    *,
    key_of: Callable[[str], str] = lambda partition: partition,
    conditional: str = "all",
    every: timedelta = timedelta(seconds=30),
) -> Feed:
    """The feed over these lists, in each partition; without `partitions` there is one, named by the empty text.

    `conditional` is the limit class of conditional requests, which some providers do not count when nothing changed.
    """
    if not lists:
        raise ImplementationError(f"the feed {name} watches nothing: give at least one list")

    def start(ctx: Context) -> Steps:
        return Page([], next={"round": 0, "tags": {}})
        yield  # a generator that asks for nothing

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        token: dict[str, Any] = dict(cursor or {"round": 0, "tags": {}})
        if not token.get("left"):
            left = yield from _partitions(ctx, partitions)
            known = {partition: tags for partition, tags in token["tags"].items() if partition in left}
            token = {"round": token["round"] + 1, "tags": known, "left": left}
        if not token["left"]:
            return Page([], next=token, more=False)
        partition, *left = token["left"]
        tags: dict[str, Tags] = dict(token["tags"].get(partition, {}))
        items: list[Item] = []
        for watched in lists:
            if watched.collection in ctx.collections:
                reading = _Reading(watched, partition, conditional)
                items += yield from reading.read(tags.get(watched.collection, []), key_of(partition))
                tags[watched.collection] = reading.tags
        token = {**token, "tags": {**token["tags"], partition: tags}, "left": left}
        return Page(items, next=token, more=bool(left))

    return Feed(
        name=name,
        covers=frozenset(watched.collection for watched in lists),
        page=page,
        position="token",
        retention=timedelta(days=36_500),
        settle=timedelta(0),
        start=start,
        every=every,
    )


def _partitions(ctx: Context, source: Partitions | None) -> Generator[Request, Response, list[str]]:
    if source is None:
        return [""]
    found: dict[str, None] = {}
    cursor: Cursor | None = None
    while True:
        pairs, cursor = yield from source.page(ctx, cursor)
        found.update((partition, None) for partition, _ in pairs)
        if cursor is None:
            return list(found)


class _Reading:
    """One list in one partition, as it is read now. `tags` are the validators to keep: none where the list could not be
    seen in one picture, so that it is read again next time."""

    def __init__(self, watched: Watched, partition: str, conditional: str) -> None:
        self._watched = watched
        self._partition = partition
        self._conditional = conditional
        self._body = Body(watched.rows)
        self.tags: Tags = []

    def read(self, known: Tags, parent: str) -> Generator[Request, Response, list[Item]]:
        """Its records where it has changed since the validators `known`, and none where it has not."""
        first = None
        if known:
            unchanged, first = yield from self._unchanged(known)
            if unchanged:
                self.tags = known
                return []
        for _ in range(_MOST_READS):
            read = yield from self._whole(first)
            if read is None:
                self.tags = []
                return []
            records, as_of = read
            # Several pages are one picture when none of them has changed by the time that the last one was read.
            single, first = len(self.tags) == 1, None
            if single or (all(self.tags) and (yield from self._unchanged(self.tags))[0]):
                ids = frozenset(record.id for record in records)
                self.tags = self.tags if all(self.tags) else []
                return [*records, ChildSet(self._watched.collection, parent, ids, as_of)]
        self.tags = []
        return [*records]

    def _unchanged(self, tags: Tags) -> Generator[Request, Response, tuple[bool, Response | None]]:
        """Whether no page has changed; and the first one where it is this that has."""
        for number, tag in enumerate(tags, start=1):
            asked = self._request(number).with_header("If-None-Match", tag)
            response = yield replace(asked, limit_class=self._conditional, accept=(304, *REFUSED))
            if response.status != 304:
                return False, response if number == 1 else None
        return True, None

    def _whole(self, first: Response | None) -> Generator[Request, Response, tuple[list[Record], datetime] | None]:
        """All pages, and the moment of the first, which may have been read already; None where the list is refused. A
        last page that is full is followed by an empty one, whose validator tells when a row is added to it. A server
        that has no pages shows the same one again: that is the end, unless it links on from it."""
        self.tags = []
        records: list[Record] = []
        before: list[str] = []
        response = first if first is not None else (yield self._plain(1))
        as_of = response.sent_at
        for number in range(2, _MOST_PAGES + 2):
            if response.status >= 300:
                return None
            read = [self._watched.record(self._partition, row, as_of) for row in self._rows(response)]
            linked = next_link(response.headers.get("link", "")) is not None
            if read and [record.id for record in read] == before:
                if linked:
                    raise stuck("its next page is the same again")
                return records, as_of
            records += read
            self.tags.append(response.headers.get("etag", ""))
            if len(read) not in self._watched.full and not linked:
                return records, as_of
            before = [record.id for record in read]
            response = yield self._plain(number)
        raise ImplementationError(f"{self._watched.collection} has more than {_MOST_PAGES} pages: too long to watch")

    def _rows(self, response: Response) -> list[Raw]:
        return decoded(lambda: self._body.read(response).rows)

    def _plain(self, number: int) -> Request:
        return replace(self._request(number), accept=REFUSED)

    def _request(self, number: int) -> Request:
        begin = self._watched.request(self._partition)
        return begin if number == 1 else begin.with_query((self._watched.page, str(number)))
