"""A request to a provider and its response, as values: made and read by connectors, sent by the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self, TypeVar

import msgspec
import orjson

T = TypeVar("T")
Query = tuple[tuple[str, str], ...]

TOO_LARGE = 413
"""The status of a response that stands for an answer larger than is read; it has no body. See `Request.accept`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask.

    `url` is a path under the provider's base (`/v1/customers`) or an absolute URL, whose host must be one of the
    provider's. `limit_class` is the endpoint class for the pace, `cost` its weight there. `accept` are statuses beyond
    2xx that the connector reads itself (404 for a fetch, 304), as long as their body is JSON; with `any_body` whatever
    it is: the connector then tells by more than the status what was meant. `anonymous` sends no credential (a signed
    file URL). `safe` says that it may be repeated when its outcome is unknown.
    """

    url: str
    method: str = "GET"
    query: Query = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    limit_class: str = "all"
    cost: float = 1.0
    accept: tuple[int, ...] = ()
    any_body: bool = False
    anonymous: bool = False
    safe: bool = True

    def with_header(self, name: str, value: str) -> Self:
        return replace(self, headers={**self.headers, name: value})

    def with_query(self, *pairs: tuple[str, str]) -> Self:
        """The same request with these parameters set; a name given here takes the place of the one there."""
        names = {name for name, _ in pairs}
        return replace(self, query=(*(p for p in self.query if p[0] not in names), *pairs))


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    `sent_at` is when the request was sent, by the provider's clock: the moment for which the answer speaks at the
    least. Header names are in lower case. `json()` decodes the whole body; prefer `Raw` slices on the hot path.
    """

    status: int
    body: bytes
    sent_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    def json(self) -> Any:
        return orjson.loads(self.body)

    def decode(self, kind: type[T]) -> T:
        return msgspec.json.decode(self.body, type=kind)
