"""Paginators: each is three verbs, and refuses at construction what could never stop.

- `first(request)` makes the first page's request;
- `after(request, response, answer)` reads what follows this page: a cursor, or None at the end;
- `next(request, cursor)` makes the request of the page that the cursor names.

`told` names what a paginator has to be told of the body, for the `Body` that reads it. A page that says that more
follows and gives no way to go on is a transient fault.

Those that ask for pages of a size have a fourth verb, `half(request, cursor)`: the request of the first half of the
page, for an answer that is larger than is read; None where it cannot be had. The list goes on in pages of that size,
which the cursor keeps. Those that count (`counted`) have a fifth, `onward(before, after, answer)`: the cursor `after`,
with what has to be known of this page to which `before` led; raises Faulted where the list does not move on.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol, runtime_checkable
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

import orjson

from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers.kit.faults import Fault, Faulted
from headrace.providers.kit.readings import Cursor
from headrace.providers.kit.rows import Answer, Path, Picker, decoded


class Pager(Protocol):
    """The three verbs of the module's docstring."""

    @property
    def told(self) -> Mapping[str, Path]: ...

    def first(self, request: Request) -> Request: ...

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None: ...

    def next(self, request: Request, cursor: Cursor) -> Request: ...


@runtime_checkable
class Halving(Pager, Protocol):
    """A paginator that has the fourth verb."""

    def half(self, request: Request, cursor: Cursor | None) -> Request | None: ...


@runtime_checkable
class Moving(Pager, Protocol):
    """A paginator that has the fifth verb."""

    def onward(self, before: Cursor | None, after: Cursor, answer: Answer) -> Cursor: ...


def stuck(why: str) -> Faulted:
    return Faulted(Fault("transient", f"the list cannot be read on: {why}"))


def _sized(size: tuple[str, int] | None) -> tuple[str, int] | None:
    if size is not None and size[1] < 1:
        raise ImplementationError(f"a page of {size[1]} rows never ends: ask for at least one")
    return size


class Sized:
    """What paginators share whose pages have a size (a parameter of the query, and the most rows), or the server's."""

    def __init__(self, size: tuple[str, int] | None) -> None:
        self._size = _sized(size)

    def half(self, request: Request, cursor: Cursor | None) -> Request | None:
        if self._size is None or (asked := self._asked(request)) < 2:
            return None
        return self._ask(request, asked // 2)

    def _asked(self, request: Request) -> int:
        """How many rows the request asks for."""
        assert self._size is not None
        return int(dict(request.query)[self._size[0]])

    def _ask(self, request: Request, size: int) -> Request:
        assert self._size is not None
        return request.with_query((self._size[0], str(size)))

    def _in_size(self, request: Request, cursor: Cursor | None) -> Request:
        """The request for as many rows as the list goes on in."""
        return request if self._size is None else self._ask(request, (cursor or {}).get("size", self._size[1]))

    def _keeping(self, request: Request, cursor: Cursor) -> Cursor:
        """The cursor, with the size of the request where that is another than the list began in."""
        if self._size is None or (asked := self._asked(request)) == self._size[1]:
            return cursor
        return {**cursor, "size": asked}


class Single:
    """No paging: one answer holds everything."""

    told: Mapping[str, Path] = {}

    def first(self, request: Request) -> Request:
        return request

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None:
        return None

    def next(self, request: Request, cursor: Cursor) -> Request:
        raise ImplementationError("a list without paging has no next page")


class _Linked(Sized):
    """What paginators share that follow an address. Only the first page is halved, whose next address then is of that
    size: what another one counts, its provider knows."""

    def first(self, request: Request) -> Request:
        return self._in_size(request, None)

    def half(self, request: Request, cursor: Cursor | None) -> Request | None:
        return None if cursor is not None else super().half(request, cursor)


class NextUrl(_Linked):
    """The address of the next page stands in the body (a path or a whole URL); absent or null at the end.

    Query locators are this as well. The transport checks the host.
    """

    def __init__(self, path: Path = "next", size: tuple[str, int] | None = None) -> None:
        self.told: Mapping[str, Path] = {"next": path}
        super().__init__(size)

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None:
        url = answer.told["next"]
        return {"url": urljoin(response.url or request.url, url)} if isinstance(url, str) and url else None

    def next(self, request: Request, cursor: Cursor) -> Request:
        return at_url(request, cursor["url"])


class LinkHeader(_Linked):
    """RFC 8288 `Link: <…>; rel="next"`; no such link is the end. The URL is followed as given, path and all."""

    told: Mapping[str, Path] = {}

    def __init__(self, size: tuple[str, int] | None = None) -> None:
        super().__init__(size)

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None:
        url = next_link(response.headers.get("link", ""))
        return {"url": urljoin(response.url or request.url, url)} if url else None

    def next(self, request: Request, cursor: Cursor) -> Request:
        return at_url(request, cursor["url"])


_PARAMETER = r";\s*([\w*!#$&+.^`|~-]+)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[^\",;\s]*)\s*)?"
_LINK = re.compile(rf"<([^>]*)>\s*((?:{_PARAMETER})*)")


def linked(header: str, relation: str) -> str | None:
    """The target of the link of a Link header whose relation types include this one."""
    for link in _LINK.finditer(header):
        for name, value in re.findall(_PARAMETER, link.group(2)):
            if name.lower() == "rel" and relation in value.strip('"').lower().split():
                return link.group(1)
    return None


def next_link(header: str) -> str | None:
    return linked(header, "next")


def at_url(request: Request, url: str) -> Request:
    """The same request at another address, whose query takes the place of the one there."""
    parts = urlsplit(url)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return replace(request, url=urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), query=query)


class Token(Sized):
    """An opaque token stands in the body (`path`) or in a header, and goes back as a parameter of the query, or of the
    JSON body where `into` is a path (`variables.after`).

    The end: the token is absent, empty or equal to `end`, or, where `more` is given, that field is false. An empty page
    with a token is legal.
    """

    def __init__(
        self,
        param: str,
        path: Path | None = None,
        *,
        header: str | None = None,
        more: Path | None = None,
        end: str | None = None,
        into: Literal["query", "body"] = "query",
        size: tuple[str, int] | None = None,
    ) -> None:
        if (path is None) == (header is None):
            raise ImplementationError("a token stands either in the body (path) or in a header: give one of the two")
        told = {"token": path, "more": more}
        self.told: Mapping[str, Path] = {name: where for name, where in told.items() if where is not None}
        self._param, self._header, self._end, self._into = param, header, end, into
        super().__init__(size)

    def first(self, request: Request) -> Request:
        return self._in_size(request, None)

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None:
        token = response.headers.get(self._header) if self._header else answer.told["token"]
        over = token is None or token in ("", self._end)
        if "more" in self.told:
            if not answer.told["more"]:
                return None
            if over:
                raise stuck("it says that more follows and gives no token")
        return None if over else self._keeping(request, {"token": token})

    def next(self, request: Request, cursor: Cursor) -> Request:
        return self._put(self._in_size(request, cursor), self._param, cursor["token"])

    def _asked(self, request: Request) -> int:
        if self._into == "query":
            return super()._asked(request)
        assert self._size is not None
        inside = orjson.loads(request.body or b"{}")
        for name in self._size[0].split("."):
            inside = inside[name]
        return int(inside)

    def _ask(self, request: Request, size: int) -> Request:
        assert self._size is not None
        return self._put(request, self._size[0], size)

    def _put(self, request: Request, name: str, value: Any) -> Request:
        if self._into == "query":
            return request.with_query((name, str(value)))
        return in_body(request, name, value)


def in_body(request: Request, path: str, value: Any) -> Request:
    """The same request with this path of its JSON body set."""
    body = orjson.loads(request.body or b"{}")
    inside = body
    *above, last = path.split(".")
    for name in above:
        inside = inside.setdefault(name, {})
    inside[last] = value
    return replace(request, body=orjson.dumps(body))


def connection(path: str, size: int, variable: str = "variables") -> Token:
    """A GraphQL connection at `path` of the answer (`data.orders`), whose query has the variables `first` and `after`
    under `variable` of the request's body."""
    return Token(
        f"{variable}.after",
        f"{path}.pageInfo.endCursor",
        more=f"{path}.pageInfo.hasNextPage",
        into="body",
        size=(f"{variable}.first", size),
    )


class LastId(Sized):
    """Keyset: the next page begins after the last row's id (`key`), in an order that does not change.

    The end: `more` is false; or, where the provider has no such field, or this answer lacks it, a page shorter than the
    size.
    """

    def __init__(
        self,
        param: str,
        size: tuple[str, int],
        *,
        key: Path = "id",
        more: Path | None = None,
    ) -> None:
        self.told: Mapping[str, Path] = {"more": more} if more is not None else {}
        super().__init__(size)
        self._param = param
        self._id = Picker(key=(key, Any))

    def first(self, request: Request) -> Request:
        return self._in_size(request, None)

    def after(self, request: Request, response: Response, answer: Answer) -> Cursor | None:
        more = answer.told.get("more")
        if more is None:
            more = len(answer.rows) >= self._asked(request)
        if not more:
            return None
        if not answer.rows:
            raise stuck("it says that more follows and shows no row to go on from")
        (last,) = decoded(lambda: self._id(answer.rows[-1]))
        if last is None:
            raise ImplementationError("the last row has no id where the paginator is told to find it")
        return self._keeping(request, {"after": last})

    def next(self, request: Request, cursor: Cursor) -> Request:
        return self._in_size(request, cursor).with_query((self._param, str(cursor["after"])))
