"""A call that a provider server receives and the reply that it gives, as values."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import cached_property
from time import time
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

import orjson

Header = tuple[str, str]


@dataclass(frozen=True)
class Call:
    """One request as it came. Header names are in lower case; `path` is still percent-encoded."""

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    body: bytes

    @cached_property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The query's pairs, decoded, in their order."""
        return tuple(parse_qsl(self.raw_query, keep_blank_values=True)) if self.raw_query else ()

    @cached_property
    def form(self) -> tuple[tuple[str, str], ...]:
        """The pairs of a form-encoded body, decoded, in their order."""
        return tuple(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def segments(self) -> list[str]:
        """The parts of the path between its slashes, decoded."""
        return [unquote(part) for part in self.path.strip("/").split("/")]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer.

    `body` is the whole body, or an iterator of its pieces, which is sent chunked as the client takes them. `delay_s`
    is waited before anything is sent. `cut_at` breaks the connection after that many bytes of the body (0: before
    anything at all), with a reset (RST) where `reset` is set, else with an orderly end (FIN). `never` leaves the client
    waiting until it goes away.
    """

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    headers: tuple[Header, ...] = ()
    content_type: str = "application/json"
    delay_s: float = 0.0
    cut_at: int | None = None
    reset: bool = False
    never: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: tuple[Header, ...] = ()) -> Self:
        return cls(status, orjson.dumps(value), headers)

    def changed(self, **changes: Any) -> Self:
        return replace(self, **changes)


@dataclass(slots=True)
class ServerClock:
    """A provider's wall clock: this machine's plus `offset_s`, which a test may set to have it off by minutes."""

    offset_s: float = 0.0
    _dates: dict[int, str] = field(default_factory=dict, repr=False)

    def now(self) -> float:
        """Unix seconds."""
        return time() + self.offset_s

    def date(self) -> str:
        """The present as the Date header says it (RFC 9110 §5.6.7); rendered once a second."""
        second = int(self.now())
        text = self._dates.get(second)
        if text is None:
            text = formatdate(second, usegmt=True)
            self._dates = {second: text}
        return text
