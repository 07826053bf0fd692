"""A list is read whole, each row once, whatever the sizes of its pages; no paginator can be made that never ends."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ImplementationError
from headrace.http import TOO_LARGE, Request, Response
from headrace.providers.kit import EVERYTHING, Context, Cursor, Faulted, Page, Paged, Record, Rows, Steps, Window, pages
from headrace.providers.kit.checks import drive, through_json, walk
from headrace.providers.kit.counted import Offset, PageNumber
from headrace.providers.kit.pagers import (
    LastId,
    LinkHeader,
    NextUrl,
    Pager,
    Single,
    Token,
    connection,
    next_link,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CTX = Context({}, NOW)
URL = "https://api.example.com/things"
ROWS = st.lists(st.integers(min_value=1, max_value=10_000), unique=True, max_size=40)
SIZE = st.integers(min_value=1, max_value=12)

Server = Callable[[Request], Response]


def answer(body: Any, **headers: str) -> Response:
    return Response(
        200, orjson.dumps(body), NOW, {name.replace("_", "-"): value for name, value in headers.items()}, URL
    )


def ids_of(ctx: Context, read: Rows) -> list[Any]:
    return [Record("x:thing", str(json.loads(bytes(row))["id"]), bytes(row), read.as_of) for row in read.rows]


def read_all(pager: Pager, server: Server, rows: str | None = "data", request: Request | None = None) -> list[int]:
    page = pages(Paged(request or Request("/things"), pager, rows), ids_of)
    return [int(item.id) for page in walk(page, CTX, EVERYTHING, server) for item in page.items]  # type: ignore[union-attr]


def things(ids: list[int]) -> list[dict[str, int]]:
    return [{"id": each} for each in ids]


def query(request: Request) -> dict[str, str]:
    return dict(request.query)


# ── servers that page in each way ──


def by_last_id(ids: list[int], more: bool) -> Server:
    def serve(request: Request) -> Response:
        asked = query(request)
        start = ids.index(int(asked["after"])) + 1 if "after" in asked else 0
        rest = ids[start:]
        size = int(asked["limit"])
        body: dict[str, Any] = {"data": things(rest[:size])}
        return answer({**body, "has_more": len(rest) > size} if more else body)

    return serve


def by_token(ids: list[int], size: int, empty_between: bool) -> Server:
    """Hands out tokens that are opaque; with `empty_between`, each token leads to an empty page first."""

    def serve(request: Request) -> Response:
        token = query(request).get("cursor", "p0")
        place = int(token[1:])
        if empty_between and token[0] == "p":
            return answer({"data": [], "paging": {"next": f"q{place}"}})
        end = place + size
        return answer({"data": things(ids[place:end]), "paging": {"next": f"p{end}"} if end < len(ids) else {}})

    return serve


def by_offset(ids: list[int], base: int, told: str) -> Server:
    def serve(request: Request) -> Response:
        asked = query(request)
        place, size = int(asked["offset"]) - base, int(asked["limit"])
        body: dict[str, Any] = {"data": things(ids[place : place + size])}
        if told == "more":
            body["more"] = place + size < len(ids)
        elif told == "total":
            body["total"] = len(ids)
        return answer(body)

    return serve


def by_page(ids: list[int], base: int, told: str) -> Server:
    def serve(request: Request) -> Response:
        asked = query(request)
        number, size = int(asked["page"]) - base, int(asked["per_page"])
        body: dict[str, Any] = {"data": things(ids[number * size : (number + 1) * size])}
        if told == "pages":
            body["pages"] = -(-len(ids) // size)
        return answer(body)

    return serve


def by_url(ids: list[int], size: int, header: bool) -> Server:
    """Each next page has another path, and a query that must be kept as it is."""

    def serve(request: Request) -> Response:
        place = int(query(request).get("from", "0"))
        assert request.url == "/things" or request.url.startswith("https://api.example.com/more/")
        end = place + size
        url = f"/more/{end}?from={end}&keep=a%2Bb" if end < len(ids) else None
        if not header:
            return answer({"data": things(ids[place:end]), "next": url})
        other = '<https://api.example.com/x>; rel="first",'
        return answer(things(ids[place:end]), link=f'{other}<{url}>; title="a, b"; rel="last next"' if url else other)

    return serve


def by_connection(ids: list[int]) -> Server:
    def serve(request: Request) -> Response:
        assert request.body is not None
        variables = json.loads(request.body)["variables"]
        assert variables["kept"] is True
        start = ids.index(int(variables["after"])) + 1 if "after" in variables else 0
        rest = ids[start:]
        nodes = rest[: variables["first"]]
        info = {"hasNextPage": len(rest) > len(nodes), "endCursor": str(nodes[-1]) if nodes else None}
        return answer({"data": {"things": {"nodes": things(nodes), "pageInfo": info}}})

    return serve


# ── every row once ──


@given(ROWS, SIZE, st.booleans())
def test_last_id_reads_every_row_once(ids: list[int], size: int, more: bool) -> None:
    pager = LastId("after", ("limit", size), more="has_more" if more else None)
    assert read_all(pager, by_last_id(ids, more)) == ids


@given(ROWS, SIZE, st.booleans())
def test_token_reads_every_row_once_and_passes_empty_pages(ids: list[int], size: int, empty: bool) -> None:
    assert read_all(Token("cursor", "paging.next"), by_token(ids, size, empty)) == ids


@given(ROWS, SIZE, st.sampled_from([0, 1]), st.sampled_from(["short", "empty", "more", "total"]))
def test_offset_reads_every_row_once(ids: list[int], size: int, base: int, told: str) -> None:
    ends: dict[str, Any] = {told: told} if told in ("more", "total") else {"end": told}
    assert read_all(Offset(("limit", size), first=base, **ends), by_offset(ids, base, told)) == ids


@given(ROWS, SIZE, st.sampled_from([0, 1]), st.sampled_from(["short", "empty", "pages"]))
def test_page_number_reads_every_row_once(ids: list[int], size: int, base: int, told: str) -> None:
    ends: dict[str, Any] = {"pages": "pages"} if told == "pages" else {"end": told}
    assert read_all(PageNumber(("per_page", size), first=base, **ends), by_page(ids, base, told)) == ids


@given(ROWS, SIZE)
def test_next_url_reads_every_row_once(ids: list[int], size: int) -> None:
    assert read_all(NextUrl("next"), by_url(ids, size, header=False)) == ids


@given(ROWS, SIZE)
def test_link_header_reads_every_row_once(ids: list[int], size: int) -> None:
    assert read_all(LinkHeader(), by_url(ids, size, header=True), rows=None) == ids


@given(ROWS, SIZE)
def test_connection_reads_every_row_once(ids: list[int], size: int) -> None:
    request = Request("/graphql", "POST", body=b'{"query":"...","variables":{"kept":true}}')
    assert read_all(connection("data.things", size), by_connection(ids), "data.things.nodes", request) == ids


def test_a_list_without_paging_is_one_request() -> None:
    assert read_all(Single(), lambda request: answer({"data": things([1, 2])})) == [1, 2]


def test_a_token_in_a_header_ends_at_the_word_for_the_end() -> None:
    def serve(request: Request) -> Response:
        place = query(request).get("locator")
        return answer(things([1] if place is None else [2]), sforce_locator="AB" if place is None else "null")

    assert read_all(Token("locator", header="sforce-locator", end="null"), serve, rows=None) == [1, 2]


def test_a_next_url_keeps_its_query_and_drops_that_of_the_first_page() -> None:
    first = Request("/things", query=(("since", "1"),))
    pager = NextUrl("next")
    following = pager.next(first, {"url": "https://api.example.com/other?cursor=a%2Bb%3D&empty="})
    assert following.url == "https://api.example.com/other"
    assert following.query == (("cursor", "a+b="), ("empty", ""))


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://a/x?page=2>; rel="next"', "https://a/x?page=2"),
        ("<https://a/x>;rel=next", "https://a/x"),
        ('<https://a/1>;rel="first",<https://a/2>;rel="next",<https://a/3>;rel="last"', "https://a/2"),
        ('<https://a/1,2>; title="x; rel=\\"next"; rel="prev NEXT"', "https://a/1,2"),
        ('<https://a/1>; rel="prev"', None),
        ('<https://a/1>; rel="nextish"', None),
        ("", None),
        ("garbage", None),
    ],
)
def test_link_headers_are_read_as_rfc_8288_writes_them(header: str, target: str | None) -> None:
    assert next_link(header) == target


# ── answers that are larger than is read ──


def at_most(rows: int, server: Server) -> Server:
    """The server behind a reader that reads no answer of more rows."""

    def serve(request: Request) -> Response:
        response = server(request)
        body = orjson.loads(response.body)
        found = body.get("data", []) if isinstance(body, dict) else body
        if len(found["things"]["nodes"] if isinstance(found, dict) else found) <= rows:
            return response
        assert TOO_LARGE in request.accept, "no smaller page is asked for"
        return Response(TOO_LARGE, b"", NOW)

    return serve


def by_sized_token(ids: list[int], link: bool) -> Server:
    def serve(request: Request) -> Response:
        asked = query(request)
        place, size = int(asked.get("cursor", "0")), int(asked["limit"])
        end = place + size
        more = end < len(ids)
        if link:
            url = f"/things?cursor={end}&limit={size}"
            return answer(things(ids[place:end]), link=f'<{url}>; rel="next"' if more else "")
        return answer({"data": things(ids[place:end]), "token": str(end) if more else None})

    return serve


@given(ROWS, st.integers(1, 3), st.sampled_from([1, 2, 4, 8]))
def test_a_page_that_is_too_large_is_read_in_smaller_ones_every_row_once(ids: list[int], most: int, size: int) -> None:
    most = min(most, size)
    graph = Request("/graphql", "POST", body=b'{"query":"...","variables":{"kept":true}}')
    for more in (True, False):
        pager = LastId("after", ("limit", size), more="has_more" if more else None)
        assert read_all(pager, at_most(most, by_last_id(ids, more))) == ids
    for told in ("short", "empty", "more", "total"):
        ends: dict[str, Any] = {told: told} if told in ("more", "total") else {"end": told}
        assert read_all(Offset(("limit", size), **ends), at_most(most, by_offset(ids, 0, told))) == ids
    for base in (0, 1):
        for told in ("short", "empty"):
            numbered = PageNumber(("per_page", size), first=base, end=told)  # type: ignore[arg-type]
            assert read_all(numbered, at_most(most, by_page(ids, base, told))) == ids
    token = Token("cursor", "token", size=("limit", size))
    assert read_all(token, at_most(most, by_sized_token(ids, link=False))) == ids
    linked = LinkHeader(("limit", size))
    assert read_all(linked, at_most(most, by_sized_token(ids, link=True)), rows=None) == ids
    nodes = connection("data.things", size)
    assert read_all(nodes, at_most(most, by_connection(ids)), "data.things.nodes", graph) == ids


def test_later_pages_of_which_nobody_knows_how_they_count_are_not_halved() -> None:
    request = Request("/things", query=(("limit", "8"),))
    assert LinkHeader(("limit", 8)).half(request, {"url": "https://api.example.com/things?page=2&limit=8"}) is None
    assert PageNumber(("limit", 7), end="short").half(Request("/things", query=(("limit", "7"),)), None) is None
    assert Token("cursor", "token").half(request, None) is None


# ── what could never stop ──


@pytest.mark.parametrize(
    "make",
    [
        lambda: Offset(("limit", 10)),
        lambda: PageNumber(("per_page", 10)),
        lambda: Offset(("limit", 0), end="short"),
        lambda: PageNumber(("per_page", 0), end="empty"),
        lambda: LastId("after", ("limit", 0)),
        lambda: LinkHeader(("per_page", -1)),
        lambda: Token("cursor"),
        lambda: Token("cursor", "next", header="x-next"),
    ],
)
def test_refuses_at_construction_what_could_never_stop(make: Callable[[], Pager]) -> None:
    with pytest.raises(ImplementationError):
        make()


@pytest.mark.parametrize(
    ("pager", "body"),
    [
        (LastId("after", ("limit", 2), more="more"), {"data": [], "more": True}),
        (Offset(("limit", 2), more="more"), {"data": [], "more": True}),
        (Token("cursor", "token", more="more"), {"data": [{"id": 1}], "more": True, "token": None}),
    ],
)
def test_more_without_a_way_to_go_on_is_a_fault_of_the_provider(pager: Pager, body: Any) -> None:
    with pytest.raises(Faulted) as raised:
        read_all(pager, lambda request: answer(body))
    assert raised.value.fault.kind == "transient"


def test_a_token_that_repeats_is_an_implementation_error() -> None:
    with pytest.raises(ImplementationError, match="never ends"):
        read_all(Token("cursor", "token"), lambda request: answer({"data": [], "token": "same"}))


@pytest.mark.parametrize(
    "pager",
    [
        Offset(("limit", 2), end="short"),
        Offset(("limit", 2), total="total"),
        Offset(("limit", 2), more="more"),
        PageNumber(("limit", 2), end="empty"),
        PageNumber(("limit", 2), pages="total"),
    ],
)
def test_a_server_that_passes_over_the_count_is_told_at_the_third_page_that_is_the_same(pager: Pager) -> None:
    page = pages(Paged(Request("/things"), pager, "data"), ids_of)

    def read(cursor: Cursor | None) -> Page:
        told = answer({"data": things([1, 2]), "total": 1000, "more": True})
        return drive(page(CTX, EVERYTHING, through_json(cursor)), lambda request: told)[0]

    first = read(None)
    second = read(first.next)
    with pytest.raises(Faulted, match="passes over") as raised:
        read(second.next)
    assert raised.value.fault.kind == "transient"
    assert [len(shown.items) for shown in (first, second)] == [2, 2], "what came is handed out before it is told"


def test_a_page_that_was_pushed_on_by_new_rows_may_be_shown_twice() -> None:
    moved = [[1, 2], [1, 2], [3, 4], [5]]  # two rows came before the others between the first page and the second
    numbered = PageNumber(("limit", 2), end="short")
    read = read_all(numbered, lambda request: answer({"data": things(moved[int(query(request)["page"]) - 1])}))
    assert read == [1, 2, 1, 2, 3, 4, 5]


def test_a_short_list_read_at_once_does_not_go_on_for_ever_either() -> None:
    paged = Paged(Request("/things"), Offset(("limit", 2), end="short"), "data")

    def whole(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        read = yield from paged.read_all(ctx)
        return Page(ids_of(ctx, read))

    with pytest.raises(Faulted, match="passes over"):
        drive(whole(CTX, EVERYTHING, None), lambda request: answer({"data": things([1, 2])}))
