"""Structured logs: one line an event that matters, on standard error.

Code logs with `structlog.get_logger()` and names what happened in snake case, with what it happened to as fields:

    log.warning("request_failed", sync_id=sync.id, status=503, attempt=2)

Lines of other libraries (uvicorn, asyncio, aiohttp) take the same form. No field may hold a secret; a field whose name
says that it is one is masked all the same, for a slip must not cost a customer's key.
"""

import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import Processor

_SECRET = re.compile(
    r"secret|password|passwd|token$|authorization|api_key|private_key|cookie|^dsn$|^key$", re.IGNORECASE
)
MASK = "***********"

_NOISY = ("uvicorn.error", "uvicorn.access", "aiohttp.access", "asyncio", "httpx2")

Listener = Callable[[MutableMapping[str, Any]], None]
_listeners: list[Listener] = []


def configure(form: Literal["json", "text"] = "json", level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (default: standard error), from `level` on.

    `json` writes one JSON object a line: `at` (UTC), `level`, `event`, then the fields. `text` is for people's eyes.
    Calling it again replaces what was set.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        mask_secrets,
        _tell,
    ]
    last: list[Processor]
    if form == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]
    else:
        # Plain tracebacks: the others show local variables, and with them secrets.
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="at", exception_formatter=plain)]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # A line for each try of each pool to restore its connections: the listener tells of an outage once.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=False,  # a module keeps its logger: it must follow a later call
    )


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put stars for the value of every field whose name says that it is secret."""
    for name in event:
        if _SECRET.search(name) and event[name] is not None:
            event[name] = MASK
    return event


def listen(listener: Listener) -> Callable[[], None]:
    """Have every line that is logged from now on told to the listener as well, secrets masked: the fields, with `level`
    and `event`. It must be quick and must not raise. Returns what ends it."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def _tell(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for listener in _listeners:
        listener(event)
    return event


def _dumps(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
