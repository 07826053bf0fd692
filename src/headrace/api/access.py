"""The outermost layer: counts every request, writes a line for those that matter, and lets no exception out.

No line holds a query string, a header or a body. A path is logged as its route's template with the ids in it, so that
the secret part of a webhook's address never shows.
"""

import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.api.answers import problem
from headrace.api.metrics import REQUESTS, SECONDS, UNDER_WAY
from headrace.api.problems import UNFORESEEN, foreseen
from headrace.ids import parse_uuid

log = structlog.get_logger()

_SLOW_S = 5.0
_SOURCE = str(Path(__file__).parents[2]) + "/"


class Access:
    """Logs at `info` what changes something, or is refused or slow, at `warning` what the database or a provider failed
    in, at `error` what Headrace did, at `debug` the rest; but for the consume routes, which are called too often to log
    each call that goes well."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        UNDER_WAY.inc()
        try:
            await self.app(scope, receive, noting)
        except Exception as error:
            known = foreseen(error)
            if known is None:
                log.error("request_failed", **_named(scope), **describe(error))
            elif known.status >= 500:
                log.warning("request_failed", **_named(scope), error=type(error).__name__)
            if status:
                raise  # the answer had begun: only cutting it off tells the caller that it is not whole
            await problem(known or UNFORESEEN)(scope, receive, noting)
        finally:
            UNDER_WAY.dec()
            _note(scope, status, time.monotonic() - began)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = _template(scope)
    waits = "headrace.waited" in scope
    REQUESTS.labels(route, _method(scope), status).inc()
    if not waits:
        SECONDS.labels(route).observe(seconds)
    if status == 500:
        write = log.error
    elif status in (502, 503):
        write = log.warning
    elif status >= 400 or (seconds > _SLOW_S and not waits):
        write = log.info
    elif "headrace.consume" in scope:
        return
    else:
        write = log.info if scope["method"] not in ("GET", "HEAD", "OPTIONS") else log.debug
    write("http_request", **_named(scope), status=status, ms=round(seconds * 1000, 1))


def _method(scope: Scope) -> str:
    """The method, in so far as it is one of HTTP's: a label must not take any text that is sent."""
    return scope["method"] if scope["method"] in _METHODS else "other"


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def _template(scope: Scope) -> str:
    route = scope.get("route")
    return getattr(route, "path_format", None) or getattr(route, "path", None) or "none"


def _named(scope: Scope) -> dict[str, Any]:
    """Who asked for what: the route's template, its ids (nothing else: a secret may have been pasted into the path),
    organisation and token."""
    fields: dict[str, Any] = {"method": _method(scope), "route": _template(scope)}
    parameters: Mapping[str, str] = scope.get("path_params") or {}
    fields |= {name: value for name, value in parameters.items() if parse_uuid(value) is not None}
    principal = scope.get("state", {}).get("principal")
    if principal is not None:
        fields |= {"org_id": str(principal.org_id), "token_id": str(principal.token_id)}
    return fields


def describe(error: Exception) -> dict[str, Any]:
    """An unforeseen error for the log: its kind and where it came from.

    Its message is left out: drivers and validators put the values they stumble over into theirs.
    """
    frames = traceback.extract_tb(error.__traceback__)
    fields: dict[str, Any] = {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": [f"{frame.filename.removeprefix(_SOURCE)}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
    }
    if isinstance(error, asyncpg.PostgresError):
        fields |= {"sqlstate": error.sqlstate, "constraint": getattr(error, "constraint_name", None)}
    return fields
