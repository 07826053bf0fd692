"""What happens to bodies before a route sees them: too large is refused, JSON on a GET becomes query parameters."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace import jsontext
from headrace.api.answers import problem
from headrace.api.body import object_of
from headrace.errors import HeadraceError, TooLarge

MOST_BYTES = 4 * 1024 * 1024
_PROXY = "/v1/proxy/"


class BodyLimit:
    """Answers 413 to a body over `most` bytes, whether its length was announced or not."""

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = _header(scope, b"content-length")
        if length is not None and length.isdigit() and int(length) > self.most:
            await problem(self._too_large())(scope, receive, send)
            return
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most:
                raise self._too_large()
            return message

        await self.app(scope, counting, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body has more than {self.most // 2**20} MiB. Send it in smaller parts.")


class BodyOnGet:
    """Reads a JSON body on a GET as query parameters: clients exist that send a list's filters so.

    What stands in the URL as well is taken from there. Nested objects become dotted names (`health.status`), but for
    `metadata`, which stays JSON; null is as if left out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        try:
            body = await _whole(receive)
            given = object_of(body) if body.strip() else {}
        except HeadraceError as error:
            await problem(error)(scope, receive, send)
            return
        scope["query_string"] = _merged(scope["query_string"], given)
        await self.app(scope, _after_body(receive), send)


def _has_body(scope: Scope) -> bool:
    if scope["path"].startswith(_PROXY):
        return False
    length = _header(scope, b"content-length")
    return length not in (None, b"0") or _header(scope, b"transfer-encoding") is not None


def _header(scope: Scope, name: bytes) -> bytes | None:
    for given, value in scope["headers"]:
        if given == name:
            found: bytes = value
            return found
    return None


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _after_body(receive: Receive) -> Receive:
    """`receive` for an application that has yet to be told that there is no (more) body."""
    told = False

    async def following() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return following


def _merged(query: bytes, given: Mapping[str, Any]) -> bytes:
    named = {pair.split(b"=", 1)[0] for pair in query.split(b"&")}
    added = [(name, value) for name, value in _pairs("", given) if urlencode({name: ""})[:-1].encode() not in named]
    return b"&".join(part for part in (query, urlencode(added).encode()) if part)


def _pairs(prefix: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in given.items():
        name = prefix + key
        if isinstance(value, dict) and name != "metadata":
            yield from _pairs(f"{name}.", value)
        elif isinstance(value, list):
            for each in value:
                yield name, _text(each)
        elif value is not None:
            yield name, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.dumps(value).decode()
