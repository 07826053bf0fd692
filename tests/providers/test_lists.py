"""Lists made of lists: children per parent, several lists that together are everything; and the laws of a page."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit import (
    EVERYTHING,
    Context,
    Cursor,
    Faulted,
    Item,
    Page,
    Paged,
    PageFunction,
    Record,
    Rows,
    Steps,
    Window,
    joined,
    nested,
    pages,
)
from headrace.providers.kit.checks import drive, walk
from headrace.providers.kit.pagers import LastId, Single, Token

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CTX = Context({}, NOW)
FAMILIES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), st.lists(st.integers(0, 99), unique=True, max_size=8), max_size=8
)


def record(collection: str, row: bytes, as_of: datetime, parent: str | None = None) -> Record:
    return Record(collection, str(json.loads(row)["id"]), row, as_of, parent=parent)


class Families:
    """A server of parents, and of the children of each, both paged by last id. A parent that is gone answers 404."""

    def __init__(self, families: dict[str, list[int]], size: int) -> None:
        self.families, self.size = families, size
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request.url)
        if request.url == "/parents":
            return self._page(list(self.families), request)
        parent = request.url.split("/")[2]
        if parent not in self.families:
            return Response(404, b"{}", NOW)
        return self._page(list(self.families[parent]), request)

    def _page(self, ids: list[Any], request: Request) -> Response:
        after = dict(request.query).get("after")
        names = [str(each) for each in ids]
        rest = ids[names.index(after) + 1 :] if after in names else ids
        shown = rest[: self.size]
        return Response(
            200, orjson.dumps({"data": [{"id": each} for each in shown], "more": len(rest) > len(shown)}), NOW
        )

    def children(self, requests: int = 25) -> PageFunction:
        def of(parent: str) -> Paged:
            request = Request(f"/parents/{parent}/children", accept=(404,))
            return Paged(request, LastId("after", ("limit", self.size), more="more"))

        def items(ctx: Context, parent: str, read: Rows) -> list[Item]:
            return [record("x:child", bytes(row), read.as_of, parent) for row in read.rows]

        parents = Paged(Request("/parents"), LastId("after", ("limit", self.size), more="more"))
        return nested(parents, lambda row: str(json.loads(bytes(row))["id"]), of, items, requests)


def found(read: list[Page]) -> list[tuple[str | None, str]]:
    return [(item.parent, item.id) for page in read for item in page.items]  # type: ignore[union-attr]


@given(FAMILIES, st.integers(1, 4), st.integers(1, 6))
def test_nested_reads_every_child_once_however_it_is_cut(
    families: dict[str, list[int]], size: int, requests: int
) -> None:
    server = Families(families, size)
    read = walk(server.children(requests), CTX, EVERYTHING, server)
    assert found(read) == [(parent, str(child)) for parent, children in families.items() for child in children]


@given(FAMILIES, st.integers(1, 4), st.integers(1, 4))
def test_a_nested_page_asks_no_more_than_it_may(families: dict[str, list[int]], size: int, requests: int) -> None:
    server = Families(families, size)
    page, cursor = server.children(requests), None
    while True:
        got, asked = drive(page(CTX, EVERYTHING, cursor), server)
        assert len(asked) <= requests + 1
        if got.next is None:
            break
        cursor = got.next


@given(FAMILIES.filter(lambda f: len(f) > 1), st.integers(1, 3), st.data())
def test_a_parent_that_goes_away_during_a_nested_reading_costs_no_other_child(
    families: dict[str, list[int]], size: int, data: st.DataObject
) -> None:
    server = Families(dict(families), size)
    page, cursor = server.children(requests=1), None
    victim = data.draw(st.sampled_from(sorted(families)))
    at = data.draw(st.integers(0, 5))
    read: list[Page] = []
    for number in range(1000):
        if number == at:
            server.families.pop(victim, None)
        got, _ = drive(page(CTX, EVERYTHING, cursor), server)
        read.append(got)
        cursor = got.next
        if cursor is None:
            break
    remaining = {(parent, str(child)) for parent, children in server.families.items() for child in children}
    assert cursor is None
    assert remaining <= set(found(read))


def test_a_nested_page_that_may_ask_for_nothing_is_refused() -> None:
    with pytest.raises(ImplementationError):
        Families({}, 1).children(requests=0)


@given(st.lists(st.lists(st.integers(0, 99), unique=True, max_size=6), min_size=1, max_size=4), st.integers(1, 3))
def test_joined_lists_are_read_one_after_another(lists: list[list[int]], size: int) -> None:
    server = Families({str(number): ids for number, ids in enumerate(lists)}, size)

    def each(number: int) -> PageFunction:
        paged = Paged(Request(f"/parents/{number}/children"), LastId("after", ("limit", size), more="more"))
        return pages(paged, lambda ctx, read: [record("x:child", bytes(row), read.as_of) for row in read.rows])

    read = walk(joined(*(each(number) for number in range(len(lists)))), CTX, EVERYTHING, server)
    assert [key for _, key in found(read)] == [str(child) for ids in lists for child in ids]


def test_no_list_at_all_cannot_be_joined() -> None:
    with pytest.raises(ImplementationError):
        joined()


# ── one page ──


def one_page(paged: Paged, response: Response) -> Page:
    page = pages(paged, lambda ctx, read: [record("x:thing", bytes(row), read.as_of) for row in read.rows])
    return drive(page(CTX, EVERYTHING, None), lambda request: response)[0]


@pytest.mark.parametrize("body", [b"<html>busy</html>", b'{"data": [{"id": 1}', b'{"data": "none"}', b"", b"\xff\xfe"])
def test_an_answer_that_is_not_the_list_is_a_transient_fault(body: bytes) -> None:
    with pytest.raises(Faulted) as raised:
        one_page(Paged(Request("/things"), Single()), Response(200, body, NOW))
    assert raised.value.fault.kind == "transient"


def test_a_page_tells_the_expected_total() -> None:
    body = b'{"data": [], "meta": {"total": 12}}'
    assert one_page(Paged(Request("/x"), Single(), expected="meta.total"), Response(200, body, NOW)).expected == 12


def test_rows_are_kept_byte_for_byte() -> None:
    row = b'{ "id" : 1,\n "price": 1.0, "big": 12345678901234567890123, "tiny": 1e-400, "name": "\\u00e9\xc3\xa9" }'
    page = one_page(Paged(Request("/x"), Single()), Response(200, b'{"data":[' + row + b"]}", NOW))
    assert [item.raw for item in page.items if isinstance(item, Record)] == [row]


def test_a_page_may_ask_for_what_was_cut_off() -> None:
    def items(ctx: Context, read: Rows) -> Any:
        more = yield Request("/rest")
        return [record("x:thing", more.body, read.as_of)]

    page = pages(Paged(Request("/things"), Single()), items)
    answers = {"/things": b'{"data":[]}', "/rest": b'{"id":7}'}
    got, asked = drive(page(CTX, EVERYTHING, None), lambda request: Response(200, answers[request.url], NOW))
    assert [request.url for request in asked] == ["/things", "/rest"]
    assert [item.id for item in got.items if isinstance(item, Record)] == ["7"]


def test_a_short_list_is_read_whole_with_the_moment_of_its_first_page() -> None:
    server = Families({"p": [1, 2, 3]}, 2)
    paged = Paged(Request("/parents/p/children"), LastId("after", ("limit", 2), more="more"))

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        read = yield from paged.read_all(ctx)
        return Page([record("x:child", bytes(row), read.as_of) for row in read.rows])

    got, asked = drive(page(CTX, EVERYTHING, None), server)
    assert [item.id for item in got.items if isinstance(item, Record)] == ["1", "2", "3"]
    assert len(asked) == 2


@pytest.mark.parametrize("circle", [1, 2, 3])
def test_reading_a_list_whole_notices_that_it_goes_in_circles(circle: int) -> None:
    paged = Paged(Request("/x"), Token("cursor", "token"))

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        yield from paged.read_all(ctx)
        return Page()

    def respond(request: Request) -> Response:
        token = (int(dict(request.query).get("cursor", "0")) + 1) % circle
        return Response(200, f'{{"data":[],"token":"{token}"}}'.encode(), NOW)

    with pytest.raises(Faulted, match="circles"):
        drive(page(CTX, EVERYTHING, None), respond)


# ── the laws ──


def test_a_page_function_that_depends_on_more_than_its_arguments_is_found() -> None:
    calls: list[int] = []

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        calls.append(1)
        yield Request(f"/things/{len(calls)}")
        return Page()

    with pytest.raises(ImplementationError, match="read again"):
        walk(page, CTX, EVERYTHING, lambda request: Response(200, b"{}", NOW))


@pytest.mark.parametrize("cursor", [{"at": NOW}, {"at": (1, 2)}, {"at": {1: "a"}}, {"at": b"bytes"}])
def test_a_cursor_that_does_not_survive_json_is_found(cursor: Any) -> None:
    def page(ctx: Context, window: Window, at: Cursor | None) -> Steps:
        yield Request("/things")
        return Page(next=cursor)

    with pytest.raises(ImplementationError, match="JSON"):
        walk(page, CTX, EVERYTHING, lambda request: Response(200, b"{}", NOW))


def test_a_list_that_goes_in_circles_is_found() -> None:
    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        yield Request("/things")
        return Page(next={"at": 1 if cursor is None else (cursor["at"] + 1) % 3})

    with pytest.raises(ImplementationError, match="circles"):
        walk(page, CTX, EVERYTHING, lambda request: Response(200, b"{}", NOW))


def test_a_job_that_is_polled_counts_its_polls() -> None:
    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        response = yield Request("/job")
        done = response.json()["done"]
        polls = 0 if cursor is None else cursor["polls"]
        return Page(next=None if done else {"polls": polls + 1})

    answers = iter([b'{"done":false}', b'{"done":false}', b'{"done":true}'])
    assert len(walk(page, CTX, EVERYTHING, lambda request: Response(200, next(answers), NOW))) == 3
