"""How GitHub's lists are read: along the Link header, by keyset, down to where a window begins; what a refusal is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.github import GITHUB
from headrace.providers.github.account import REPOSITORIES, repository_pages
from headrace.providers.github.lists import Rowed, by_birth, newest, since
from headrace.providers.kit import EVERYTHING, ChildSet, Context, Faulted, Page, PageFunction, Record, Window
from headrace.providers.kit.checks import drive, walk
from headrace.providers.kit.rows import Reader

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({"base_url": "http://here"}, NOW, frozenset(c.id for c in GITHUB.collections), "7/the-mill/wheel")
LISTED = Rowed("/issues", Reader("github:issue", created="created_at", updated="updated_at"))


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def issue(key: int, minutes: float) -> dict[str, Any]:
    stamp = at(minutes).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": key, "created_at": stamp, "updated_at": stamp, "url": f"http://x/repos/the-mill/wheel/issues/{key}"}


def answer(rows: Any, status: int = 200, next_url: str | None = None) -> Response:
    headers = {} if next_url is None else {"link": f'<{next_url}>; rel="next", <http://x/last>; rel="last"'}
    return Response(status, orjson.dumps(rows), NOW, headers, "http://here/repos/the-mill/wheel/issues")


class Server:
    """Rows in an order, with `since` and page numbers as GitHub has them; `size` rows a page, and Link headers where it
    `links`."""

    def __init__(
        self,
        rows: list[dict[str, Any]],
        size: int = 3,
        *,
        sorts: bool = True,
        filters: bool = True,
        links: bool = True,
    ) -> None:
        self.rows, self.size, self.sorts, self.filters, self.links = rows, size, sorts, filters, links
        self.asked: list[Request] = []
        self.after: Callable[[], None] = lambda: None

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        query = dict(request.query)
        rows = sorted(self.rows, key=lambda row: row["updated_at"]) if self.sorts else list(self.rows)
        if self.filters and "since" in query:
            rows = [row for row in rows if row["updated_at"] >= query["since"]]
        page = int(query.get("page", 1))
        shown = rows[(page - 1) * self.size : page * self.size]
        query["page"] = str(page + 1)
        pairs = "&".join(f"{name}={value}" for name, value in query.items())
        more = f"https://elsewhere.example/repositories/7/issues?{pairs}" if page * self.size < len(rows) else None
        made = answer(shown, next_url=more if self.links else None)
        self.after()
        return made


def ids(pages: list[Page]) -> list[str]:
    return [item.id for page in pages for item in page.items if isinstance(item, Record)]


def test_the_link_is_followed_as_given_but_for_its_host() -> None:
    server = Server([issue(key, key) for key in range(7)])
    read = walk(LISTED.whole(), CTX, EVERYTHING, server)
    assert ids(read) == [str(key) for key in range(7)]
    assert [request.url for request in server.asked] == [
        "/repos/the-mill/wheel/issues",
        *["/repositories/7/issues"] * 2,
    ]


@pytest.mark.parametrize("count", [0, 99, 100, 101, 250, 300])
@pytest.mark.parametrize("page", [LISTED.whole(), since(LISTED), newest(LISTED, "updated"), by_birth(LISTED)])
def test_a_server_without_link_headers_is_read_on_by_number_while_pages_are_full(
    count: int, page: PageFunction
) -> None:
    server = Server([issue(key, key) for key in range(count)], 100, links=False)
    assert set(ids(walk(page, CTX, EVERYTHING, server))) == {str(key) for key in range(count)}


def test_a_link_header_that_leads_no_further_ends_a_list_however_full_its_page() -> None:
    full = orjson.dumps([issue(key, key) for key in range(100)])
    last = Response(200, full, NOW, {"link": '<http://x/issues?page=1>; rel="prev"'}, "http://here/issues")
    page, _ = drive(LISTED.whole()(CTX, EVERYTHING, {"url": "/issues?per_page=100&page=2"}), lambda request: last)
    assert page.next is None


def test_a_link_to_the_page_that_it_came_with_is_a_fault_after_its_rows() -> None:
    """Such a list would be read for ever."""
    here = answer([issue(1, 1)], next_url="http://here/issues?per_page=100&page=2")
    whole = LISTED.whole()
    page, _ = drive(whole(CTX, EVERYTHING, {"url": "/issues?per_page=100&page=2"}), lambda request: here)
    assert [item.id for item in page.items if isinstance(item, Record)] == ["1"]
    with pytest.raises(Faulted, match="names the page itself"):
        drive(whole(CTX, EVERYTHING, page.next), lambda request: here)


def test_lists_that_go_by_cursors_alone_have_no_numbers_to_go_on_by() -> None:
    full = answer([{**issue(key, key), "number": key} for key in range(100)])
    alerts = GITHUB.collection("github:dependabot_alert")
    assert alerts is not None
    assert alerts.listing is not None
    page, asked = drive(alerts.listing.page(CTX, EVERYTHING, None), lambda request: full)
    assert (len(page.items), page.next, len(asked)) == (100, None, 1)


@pytest.mark.parametrize("rows", [100, 250])
def test_a_server_that_has_no_pages_at_all_is_read_to_an_end(rows: int) -> None:
    everything = answer([issue(key, key) for key in range(rows)])
    read = walk(LISTED.whole(), CTX, EVERYTHING, lambda request: everything)
    assert set(ids(read)) == {str(key) for key in range(rows)}
    assert len(read) <= 2


@pytest.mark.parametrize("count", [99, 100, 250])
def test_repositories_without_link_headers_are_read_by_number(count: int) -> None:
    rows = [{"id": key, "full_name": f"the-mill/{key}"} for key in range(count)]

    def respond(request: Request) -> Response:
        first = (int(dict(request.query).get("page", 1)) - 1) * 100
        return answer({"repositories": rows[first : first + 100]})

    ctx = Context({"installation_id": 1}, NOW)
    assert ids(walk(repository_pages, ctx, EVERYTHING, respond)) == [str(key) for key in range(count)]


def test_the_children_of_each_parent_are_read_by_number_where_no_link_header_comes() -> None:
    parents = [{"id": key, "url": f"http://x/repos/the-mill/wheel/pulls/{key}"} for key in range(130)]

    def respond(request: Request) -> Response:
        first = (int(dict(request.query).get("page", 1)) - 1) * 100
        if not request.url.endswith("/reviews"):
            return answer(parents[first : first + 100])
        above = int(request.url.split("/")[-2])
        reviews = [{"id": 1000 * above + n} for n in range(230 if above in (0, 129) else 1)]
        return answer(reviews[first : first + 100])

    reviews = GITHUB.collection("github:review")
    assert reviews is not None
    assert reviews.listing is not None
    assert len(set(ids(walk(reviews.listing.page, CTX, EVERYTHING, respond)))) == 128 + 2 * 230


def test_a_base_with_a_path_of_its_own_is_not_doubled() -> None:
    ctx = Context({"base_url": "https://ghe.example/api/v3"}, NOW, frozenset(), "7/the-mill/wheel")
    linked = answer([issue(1, 0)], next_url="https://ghe.example/api/v3/repositories/7/issues?page=2")
    page, _ = drive(LISTED.whole()(ctx, EVERYTHING, None), lambda request: linked)
    assert page.next == {"url": "/repositories/7/issues?page=2"}


@pytest.mark.parametrize("status", [502, 504])
@pytest.mark.parametrize("most", [25, 50])
def test_pages_that_take_too_long_are_read_in_halves_and_no_row_is_left_out(status: int, most: int) -> None:
    server = Server([issue(key, key) for key in range(230)])
    asked = []

    def respond(request: Request) -> Response:
        size = int(dict(request.query)["per_page"])
        asked.append(size)
        server.size = size
        return answer({"message": "Server Error"}, status) if size > most else server(request)

    assert ids(walk(LISTED.whole(), CTX, EVERYTHING, respond)) == [str(key) for key in range(230)]
    assert asked.count(100) == 1  # those that follow keep the size that went


def test_in_the_midst_of_a_list_the_halves_begin_where_the_page_does() -> None:
    server = Server([issue(key, key) for key in range(400)])
    slow = []

    def respond(request: Request) -> Response:
        query = dict(request.query)
        server.size = int(query["per_page"])
        if server.size == 100 and query.get("page") == "3":
            slow.append(query)
            return answer({"message": "Server Error"}, 502)
        return server(request)

    assert ids(walk(LISTED.whole(), CTX, EVERYTHING, respond)) == [str(key) for key in range(400)]
    assert slow


def test_a_server_that_is_away_is_a_fault_that_passes() -> None:
    steps = LISTED.whole()(CTX, EVERYTHING, None)
    request = next(steps)
    while 502 in request.accept:
        request = steps.send(answer({}, 502))
    assert dict(request.query)["per_page"] == "25"
    fault = GITHUB.fault(answer({}, 502))
    assert fault is not None
    assert fault.kind == "transient"


@pytest.mark.parametrize(
    "link",
    [
        "https://ghe.example/api/v3/repos/the-mill/wheel/issues?page=2",
        "/api/v3/repos/the-mill/wheel/issues?page=2",
        "/repos/the-mill/wheel/issues?page=2",
        "?page=2",
    ],
)
def test_a_link_may_be_written_without_host_prefix_or_path(link: str) -> None:
    ctx = Context({"base_url": "https://ghe.example/api/v3"}, NOW, frozenset(), "7/the-mill/wheel")
    headers = {"link": f'<{link}>; rel="next"'}
    here = Response(200, b"[]", NOW, headers, "https://ghe.example/api/v3/repos/the-mill/wheel/issues?per_page=100")
    page, _ = drive(LISTED.whole()(ctx, EVERYTHING, None), lambda request: here)
    assert page.next == {"url": "/repos/the-mill/wheel/issues?page=2"}


def test_keyset_loses_no_row_when_others_move_or_go_while_it_is_read() -> None:
    server = Server([issue(key, key) for key in range(30)])
    turns = iter(range(30))

    def change() -> None:
        """Of the rows that were shown already the first is deleted, and another changes and so moves to the end."""
        turn = next(turns, None)
        if turn is not None and turn < 8:
            server.rows.remove(next(row for row in server.rows if row["id"] == turn * 2))
            moved = next(row for row in server.rows if row["id"] == turn * 2 + 1)
            moved.update(issue(moved["id"], 100 + turn))

    server.after = change
    read = []
    cursor = None
    while True:
        page, _ = drive(since(LISTED)(CTX, EVERYTHING, cursor), server)
        read.append(page)
        cursor = page.next
        if cursor is None:
            break
    assert {str(row["id"]) for row in server.rows} <= set(ids(read))


def test_more_rows_of_one_second_than_a_page_holds_are_read_along_the_link() -> None:
    server = Server([issue(key, 5) for key in range(10)] + [issue(99, 6)])
    assert set(ids(walk(since(LISTED), CTX, EVERYTHING, server))) == {*map(str, range(10)), "99"}


@pytest.mark.parametrize("sorts", [True, False])
def test_a_server_that_ignores_since_is_read_whole_along_the_link(sorts: bool) -> None:
    rows = [issue(key, (key * 7) % 20) for key in range(20)]
    server = Server(rows, sorts=sorts, filters=False)
    assert set(ids(walk(since(LISTED), CTX, EVERYTHING, server))) == {str(key) for key in range(20)}
    window = Window(at(5), at(10))
    assert set(ids(walk(since(LISTED), CTX, window, server))) == {str(row["id"]) for row in rows if _in(row, window)}


def _in(row: dict[str, Any], window: Window) -> bool:
    moment = datetime.fromisoformat(row["updated_at"])
    assert window.lo is not None
    assert window.hi is not None
    return window.lo <= moment < window.hi


def test_windows_that_meet_share_no_row_and_leave_none_out() -> None:
    server = Server([issue(key, key / 2) for key in range(40)])
    edges = [at(minutes) for minutes in (0, 5, 10, 20)]
    read = [ids(walk(since(LISTED), CTX, Window(lo, hi), server)) for lo, hi in pairwise(edges)]
    assert sorted({key for keys in read for key in keys}, key=int) == [str(key) for key in range(40)]
    assert sum(len(set(keys)) for keys in read) == 40


def test_newest_first_ends_where_the_window_begins() -> None:
    rows = [issue(key, 60 - key) for key in range(30)]
    server = Server(rows, sorts=False)
    assert ids(walk(newest(LISTED, "updated"), CTX, Window(at(55.5), None), server)) == ["0", "1", "2", "3", "4"]
    assert len(server.asked) <= 2 * 3


# ─────────────────────────────── refusals ──────────────────────────────


def refused(status: int, message: str, repository: Response | None = None) -> Page:
    def respond(request: Request) -> Response:
        if request.url == "/repos/the-mill/wheel":
            assert repository is not None
            return repository
        return answer({"message": message}, status)

    page, _ = drive(since(LISTED)(CTX, EVERYTHING, None), respond)
    return page


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (409, "Git Repository is empty."),
        (410, "Issues are disabled for this repo"),
        (451, "Repository unavailable due to DMCA takedown."),
        (403, "Dependabot alerts are disabled for this repository."),
        (403, "Advanced Security must be enabled for this repository to use code scanning."),
        (404, "no analysis found"),
    ],
)
def test_a_list_that_a_repository_does_not_have_is_empty(status: int, message: str) -> None:
    assert refused(status, message) == Page([])


def test_404_is_a_missing_permission_while_the_repository_can_be_read() -> None:
    with pytest.raises(Faulted) as raised:
        refused(404, "Not Found", answer({"id": 7}))
    assert raised.value.fault.kind == "permission"


@pytest.mark.parametrize("repository", [answer({}, 404), answer({"id": 7, "has_issues": False})])
def test_404_is_an_empty_list_where_the_repository_is_out_of_sight_or_has_no_issues(repository: Response) -> None:
    assert refused(404, "Not Found", repository) == Page([])


def test_403_is_a_missing_permission_or_too_many_requests() -> None:
    with pytest.raises(Faulted) as raised:
        refused(403, "Resource not accessible by integration")
    assert raised.value.fault.kind == "permission"
    with pytest.raises(Faulted) as raised:
        refused(403, "You have exceeded a secondary rate limit.")
    assert raised.value.fault.kind == "rate"


def test_the_children_of_a_parent_that_is_gone_are_gone_only_with_the_repository_readable() -> None:
    reviews = GITHUB.collection("github:review")
    assert reviews is not None
    assert reviews.children is not None
    assert reviews.children.page is not None
    raw = b'{"id":5,"url":"http://x/repos/the-mill/wheel/pulls/1"}'
    parent = Record("github:pull_request", "5", raw, NOW)
    read = []
    for status in (200, 404):

        def respond(request: Request, status: int = status) -> Response:
            return answer({"message": "Not Found"}, 404 if request.url.endswith("/reviews") else status)

        page, _ = drive(reviews.children.page(CTX, parent, None), respond)
        read.append(page.items)
    assert read == [[ChildSet("github:review", "5", frozenset(), NOW)], []]


# ───────────────────────────── repositories ─────────────────────────────


@pytest.mark.parametrize(
    ("properties", "allowed", "asked"),
    [
        ({"installation_id": 1}, "/installation/repositories", ["/installation/repositories"]),
        ({}, "/user/repos", ["/user/repos"]),
        ({}, "/installation/repositories", ["/user/repos", "/installation/repositories"]),
        (
            {"installation_id": 1, "account_login": "the-mill", "account_type": "Organization"},
            "/orgs/the-mill/repos",
            ["/installation/repositories", "/orgs/the-mill/repos"],
        ),
    ],
)
def test_the_first_list_of_repositories_that_is_allowed_is_read(
    properties: dict[str, Any], allowed: str, asked: list[str]
) -> None:
    rows = [{"id": 7, "full_name": "the-mill/wheel"}]
    seen = []

    def respond(request: Request) -> Response:
        seen.append(request.url)
        if request.url != allowed:
            return answer({"message": "Resource not accessible"}, 403)
        return answer({"repositories": rows} if "installation" in allowed else rows)

    steps: Any = REPOSITORIES.page(Context(properties, NOW), None)
    found: Any = drive(steps, respond)[0]
    pairs, following = found
    assert pairs == [("7/the-mill/wheel", "the-mill/wheel")]
    assert following is None
    assert seen == asked


@pytest.mark.parametrize("circle", [1, 2, 3])
def test_the_children_of_a_parent_whose_pages_go_in_circles_are_a_fault(circle: int) -> None:
    """They are read whole within one page, and would be for ever."""
    reviews = GITHUB.collection("github:review")
    assert reviews is not None
    assert reviews.children is not None
    assert reviews.children.page is not None
    raw = orjson.dumps({"id": 1, "url": "http://here/repos/the-mill/wheel/pulls/1"})
    pull = Record("github:pull_request", "1", raw, NOW, partition="7/the-mill/wheel")

    def respond(request: Request) -> Response:
        following = int(dict(request.query).get("page", "1")) % circle + 1
        return answer([{"id": 5}], next_url=f"http://here/pulls/1/reviews?page={following}")

    with pytest.raises(Faulted, match=r"names the page itself|circles"):
        drive(reviews.children.page(CTX, pull, None), respond)
