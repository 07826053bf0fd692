"""Short lists are read whole when their validators changed, and cost nothing while they have not."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import orjson
import pytest

from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit import EVERYTHING, ChildSet, Context, Cursor, Faulted, Feed, Item, Partitions, Record
from headrace.providers.kit.checks import drive, through_json
from headrace.providers.kit.rows import Reader
from headrace.providers.kit.watched import Watched, watch

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SACK = Reader("mill:sack")
TICKET = Reader("mill:ticket")
CTX = Context({}, NOW, frozenset({"mill:sack", "mill:ticket"}))


class Mill:
    """Lists by path, two rows a page, with ETags; `hidden` are refused."""

    def __init__(self, lists: Mapping[str, list[int]]) -> None:
        self.lists = {path: list(rows) for path, rows in lists.items()}
        self.hidden: set[str] = set()
        self.tags = True
        self.asked: list[tuple[str, int]] = []
        self.plain = 0
        self.changes: list[tuple[str, int]] = []
        self._sent = 0

    def __call__(self, request: Request) -> Response:
        self._sent += 1
        sent = NOW + timedelta(seconds=self._sent)
        if request.url in self.hidden:
            return Response(403, b"{}", sent)
        page = int(dict(request.query).get("page", 1))
        body = orjson.dumps([{"id": key} for key in self.lists[request.url][2 * page - 2 : 2 * page]])
        tag = sha256(body).hexdigest()
        status = 304 if request.headers.get("If-None-Match") == tag else 200
        assert request.limit_class == ("free" if "If-None-Match" in request.headers else "all")
        self.plain += status == 200
        self.asked.append((request.url, status))
        if self.changes:
            path, key = self.changes.pop(0)
            self.lists[path].remove(key)
        return Response(status, b"" if status == 304 else body, sent, {"etag": tag} if self.tags else {})


def watched(reader: Reader, name: str) -> Watched:
    def record(partition: str, row: object, as_of: datetime) -> Record:
        made = reader(row, as_of, partition)  # type: ignore[arg-type]
        made.parent = partition
        return made

    return Watched(reader.collection, lambda partition: Request(f"/{partition}/{name}"), record, full=(2,))


def halls(*names: str) -> Partitions:
    def page(ctx: Context, cursor: Cursor | None):  # type: ignore[no-untyped-def]
        return [(name, name) for name in names], None
        yield

    return Partitions(page)


def feed(*names: str) -> Feed:
    return watch("lists", [watched(SACK, "sacks"), watched(TICKET, "tickets")], halls(*names), conditional="free")


def read(feed: Feed, mill: Mill, token: Cursor | None = None) -> tuple[list[Item], Cursor]:
    """One round, from the token on; without one from the beginning."""
    if token is None:
        assert feed.start is not None
        token = drive(feed.start(CTX), mill)[0].next
    items: list[Item] = []
    more = True
    while more:
        page, _ = drive(feed.page(CTX, EVERYTHING, through_json(token)), mill)
        items += page.items
        assert page.next is not None
        token, more = page.next, page.more
    assert token is not None
    return items, token


def sets(items: list[Item]) -> dict[tuple[str, str], set[str]]:
    return {(item.collection, item.parent): set(item.ids) for item in items if isinstance(item, ChildSet)}


LISTS = {"/a/sacks": [1], "/a/tickets": [1, 2, 3, 4, 5], "/b/sacks": [], "/b/tickets": [9]}


def test_the_first_round_reads_everything_and_the_next_one_nothing() -> None:
    mill = Mill(LISTS)
    items, token = read(feed("a", "b"), mill)
    assert sets(items) == {
        ("mill:sack", "a"): {"1"},
        ("mill:ticket", "a"): {"1", "2", "3", "4", "5"},
        ("mill:sack", "b"): set(),
        ("mill:ticket", "b"): {"9"},
    }
    mill.plain = 0
    items, _ = read(feed("a", "b"), mill, token)
    assert items == []
    assert mill.plain == 0


@pytest.mark.parametrize("change", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7], [2, 3, 4, 5], []])
def test_a_change_on_any_page_is_seen(change: list[int]) -> None:
    mill = Mill(LISTS)
    _, token = read(feed("a", "b"), mill)
    mill.lists["/a/tickets"] = change
    items, token = read(feed("a", "b"), mill, token)
    assert sets(items) == {("mill:ticket", "a"): {str(key) for key in change}}
    assert read(feed("a", "b"), mill, token)[0] == []


def test_a_full_last_page_does_not_hide_what_is_added_behind_it() -> None:
    mill = Mill({"/a/sacks": [1, 2], "/a/tickets": []})
    _, token = read(feed("a"), mill)
    mill.lists["/a/sacks"] += [3]
    items, _ = read(feed("a"), mill, token)
    assert sets(items) == {("mill:sack", "a"): {"1", "2", "3"}}


def test_a_list_that_changes_while_it_is_read_is_read_again() -> None:
    mill = Mill({"/a/sacks": [], "/a/tickets": [1, 2, 3, 4, 5]})
    mill.changes = [("/a/tickets", 1), ("/a/tickets", 2)]
    items, _ = read(feed("a"), mill)
    assert sets(items)["mill:ticket", "a"] == {"3", "4", "5"}


def test_a_list_without_validators_is_whole_only_when_it_is_one_page() -> None:
    mill = Mill({"/a/sacks": [1], "/a/tickets": [1, 2, 3]})
    mill.tags = False
    items, token = read(feed("a"), mill)
    assert sets(items) == {("mill:sack", "a"): {"1"}}
    assert {item.id for item in items if isinstance(item, Record) and item.collection == "mill:ticket"} == {
        "1",
        "2",
        "3",
    }
    assert sets(read(feed("a"), mill, token)[0]) == {("mill:sack", "a"): {"1"}}


def test_a_refused_list_is_passed_over_and_deletes_nothing() -> None:
    mill = Mill(LISTS)
    _, token = read(feed("a", "b"), mill)
    mill.hidden = {"/a/tickets"}
    mill.lists["/b/tickets"] = [9, 10]
    items, token = read(feed("a", "b"), mill, token)
    assert sets(items) == {("mill:ticket", "b"): {"9", "10"}}
    mill.hidden = set()
    assert sets(read(feed("a", "b"), mill, token)[0]) == {("mill:ticket", "a"): {"1", "2", "3", "4", "5"}}


def test_partitions_come_and_go() -> None:
    mill = Mill(LISTS)
    _, token = read(feed("a"), mill)
    items, token = read(feed("b"), mill, token)
    assert set(sets(items)) == {("mill:sack", "b"), ("mill:ticket", "b")}
    assert set(token["tags"]) == {"b"}
    assert read(feed(), mill, token)[0] == []


def test_a_feed_without_lists_is_refused() -> None:
    with pytest.raises(ImplementationError, match="watches nothing"):
        watch("none", [], None)


def unpaged(rows: int, link: str = "") -> Callable[[Request], Response]:
    """A server that shows the same rows whatever page it is asked for."""
    body = orjson.dumps([{"id": key} for key in range(rows)])
    return lambda request: Response(200, body, NOW, {"etag": "1"} | ({"link": link} if link else {}), request.url)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_server_without_pages_shows_the_whole_list_at_once(rows: int) -> None:
    """A page that is full (two rows) is followed by the same one again, which ends the list."""
    only = watch("lists", [watched(SACK, "sacks")], halls("a"))
    page, asked = drive(only.page(CTX, EVERYTHING, None), unpaged(rows))
    assert sets(page.items) == {("mill:sack", "a"): {str(key) for key in range(rows)}}
    assert len([item for item in page.items if isinstance(item, Record)]) == rows
    assert len(asked) == (2 if rows == 2 else 1)


def test_a_list_that_links_on_from_a_page_shown_again_is_a_fault_and_deletes_nothing() -> None:
    only = watch("lists", [watched(SACK, "sacks")], halls("a"))
    with pytest.raises(Faulted, match="the same again"):
        drive(only.page(CTX, EVERYTHING, None), unpaged(2, '</a/sacks?page=2>; rel="next"'))
