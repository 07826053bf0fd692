"""The readings: how a provider's data can be had. Each is data plus one small generator function.

A page function is a generator that yields `Request`s, receives `Response`s and *returns* a `Page`:

    def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        response = yield Request("/v1/customers", query=...)
        return Page(items=[...], next={"after": "cus_9"})

The laws of every page function; a breach is an `ImplementationError` at run time:

- It depends on nothing but its arguments: the same window and cursor may be asked for again, by another process, any
  number of times. That is what makes a reading resumable at every point.
- It does no I/O, does not sleep, and does not look at a clock (`ctx.now` is given).
- `cursor` is None for the first page of a window, afterwards the `next` of the page before, after a round trip through
  JSON. A cursor that equals the one before it is refused (a next page that never ends).
- A window that is read to its end is told by `next=None`.
- What a status beyond 2xx means is the engine's business, unless the request names the status in `accept`. What only
  the page function can see in an answer, it tells by raising `Faulted`.
- A job that is not done yet is a page without items whose `wait` says when to ask next; its cursor counts the polls.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from headrace.http import Request, Response
from headrace.stream.items import Item, Record

Cursor = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What a page function knows of the account that it reads.

    `properties` are the credential's, without secrets. `now` is the present in the provider's clock. `partition` is
    the repository, base or portal object read, where the collection has partitions. `collections` are the ids whose
    items are asked for (`Provider.reads` of those that the sync wants): a reading that carries several collections
    makes no items of the others.
    """

    properties: Mapping[str, Any]
    now: datetime
    collections: frozenset[str] = frozenset()
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A closed stretch of time, `lo` included, `hi` not; None is open. In the provider's clock."""

    lo: datetime | None = None
    hi: datetime | None = None


EVERYTHING = Window()


@dataclass(slots=True)
class Page:
    """One page: its items in the order given, the cursor of the next one (None: the window is at its end), and for a
    feed of tokens `more`: whether to go on at once. `expected` is the total where the provider tells it. `wait` is the
    least time before the next page is asked for (a job that still runs)."""

    items: list[Item] = field(default_factory=list)
    next: Cursor | None = None
    more: bool = True
    expected: int | None = None
    wait: timedelta = timedelta(0)


Steps = Generator[Request, Response, Page]
PageFunction = Callable[[Context, Window, Cursor | None], Steps]


@dataclass(frozen=True, slots=True)
class Total:
    """How much of a listing there is: its records, and the requests that reading them takes while nothing changes and
    nothing fails. `exact`: the provider has counted, and the requests follow from it; else they are near it (an index
    that lags, a job that is polled)."""

    records: int
    requests: int
    exact: bool = True

    @classmethod
    def in_pages(cls, records: int, size: int, *, exact: bool = True) -> "Total":
        """Of a listing that takes one request for each page of so many records; an empty one takes one too."""
        return cls(records, max(1, -(-records // size)), exact)


Counting = Generator[Request, Response, Total | None]
"""None: it cannot be told of this account."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Pages of everything that there is, archived and cancelled included: for backfill and sweep.

    `windowed` names the time by which it can be cut into windows that are read side by side (None: it cannot).
    `order` is the order of the pages; in an order by time, what is added during the reading is known to fall outside
    the pages still to come (`newest_first`) or within them (`oldest_first`). `moves`: records may move between
    pages while they are read, so that one pass may miss some (an offset over a changing order): a sweep then takes
    two passes. `count` asks the provider how much there is in a window, where it can tell so at a small price: what a
    reading would cost is told before it begins.
    """

    page: PageFunction
    windowed: Literal["created", "updated"] | None = None
    order: Literal["newest_first", "oldest_first", "by_id", "unknown"] = "unknown"
    moves: bool = False
    strong: bool = True
    count: Callable[[Context, Window], Counting] | None = None


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """What changed in a window of time.

    `field` is `updated`, or `created` for collections whose records can be found by birth only; then `lookback` is the
    span that is read again every `every`, since younger records still change. `resolution` is the grain of the
    provider's times. `settle` is the time after which its answers are final: a second reading follows that far behind.
    `cap` is the most that one query will show: a window with more is split, down to `floor`, then walked by id.
    `least` is the least time between two reads of its head while things change: long where few requests are allowed,
    so that they do not keep a backfill from its own.
    """

    page: PageFunction
    field: Literal["updated", "created"] = "updated"
    ordered: bool = False
    resolution: timedelta = timedelta(seconds=1)
    settle: timedelta = timedelta(minutes=1)
    cap: int | None = None
    floor: timedelta = timedelta(seconds=1)
    lookback: timedelta | None = None
    every: timedelta = timedelta(hours=1)
    least: timedelta = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Feed:
    """One account-wide log of changes to several collections.

    `position` says how a place in it is told: by `time` (the engine makes windows and reads each again `settle`
    behind) or by `token` (the provider's cursor: `page.next` is always given, `more` tells whether to go on at once;
    `start` returns the token of now, before a backfill begins). `retention` is how far back it reaches: an older
    position leads to a fresh backfill with sweep. `resolution` is the grain of its times. `every` is the least time
    between two reads of its head while things change.
    """

    name: str
    covers: frozenset[str]
    page: PageFunction
    position: Literal["time", "token"] = "time"
    retention: timedelta = timedelta(days=30)
    resolution: timedelta = timedelta(seconds=1)
    settle: timedelta = timedelta(minutes=1)
    start: Callable[[Context], Steps] | None = None
    every: timedelta = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Fetch:
    """One record by id, in the canonical shape. The page's first item is the Record, or a Delete when it is gone; items
    of its embedded collections follow, as far as `ctx.collections` has them."""

    page: Callable[[Context, str, str | None], Steps]
    """(ctx, upstream id, parent id) → Steps."""


Probe = Callable[[Context, Record], Steps]
"""Whether a record that a sweep misses is gone: (ctx, the record as it is held) → Steps.

For what has an address that its id alone does not give (a number within its repository), or shows itself there in
another shape than in its lists: else `Fetch` does. `ctx.partition` is the record's. The page holds its Delete where it
is gone, and nothing where it is there or where that cannot be told. What is there is not stored: its lists bring it."""


@dataclass(frozen=True, slots=True)
class Children:
    """Whose children a collection's records are, and how those of one parent are read.

    `page` returns their Records and, on the last page, a ChildSet where children can be deleted. It is used again when
    the parent changed and no feed covers the children. None: the collection is embedded (see `Collection`).

    `grain` is that of the parents' times where a parent shows a new child by nothing but its time: within the `grain`
    in which it was read it may change again and look the same, so its children are read once more when that is over.
    """

    parent: str
    page: Callable[[Context, Record, Cursor | None], Steps] | None = None
    grain: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Deleted:
    """A list of deletions in a window of time, kept by the provider for `retention`. `every` is the least time between
    two reads of its head while things change: long where another reading tells of most deletions."""

    page: PageFunction
    retention: timedelta
    settle: timedelta = timedelta(minutes=1)
    every: timedelta = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Partitions:
    """The repositories, bases or objects over which a collection is read one by one: a page of (id, name) pairs.

    `key_of` gives the part of an id that lasts. Where an id holds a name too, which may change, records keep the id
    under which they were read; by its key they are still told to be of the same partition.
    """

    page: Callable[[Context, Cursor | None], Generator[Request, Response, tuple[list[tuple[str, str]], Cursor | None]]]
    key_of: Callable[[str], str] = lambda partition: partition


@dataclass(frozen=True, slots=True)
class Write:
    """Create, update and delete. Each returns the record as the provider then has it, or None after a delete.

    `idempotent`: the provider honours an idempotency key, so that a write whose outcome is unknown may be repeated.
    """

    create: Callable[[Context, Mapping[str, Any]], Steps] | None = None
    update: Callable[[Context, str, Mapping[str, Any]], Steps] | None = None
    delete: Callable[[Context, str], Steps] | None = None
    idempotent: bool = False


class NotGenuine(Exception):
    """A webhook whose signature, or whose time, does not hold."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it came in. `url` is the public one that the provider called (some sign it), `headers` have names in
    lower case."""

    headers: Mapping[str, str]
    body: bytes
    url: str = ""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hint:
    """An object that a webhook names: what no reading tells, or not soon, as that it is gone. It is fetched at once,
    and the fetch decides.

    `address` is what is needed beside the id to ask for it (the parent of its `Fetch`). `forgotten`: the provider was
    told to forget whom it speaks of; when the fetch finds it gone, what was stored of it is erased. `account` is whose
    it is, where one delivery to an app speaks of several accounts.
    """

    collection: str
    id: str
    address: str | None = None
    forgotten: bool = False
    account: str | None = None


Look = Callable[[Context, Hint], Steps]


@dataclass(frozen=True, slots=True)
class Hook:
    """How a webhook is told to be genuine and what it says.

    `read(delivery, secret, now)` returns what it names (often nothing: it makes the sync look at once in any case) and
    raises `NotGenuine`. `tolerance` is the replay window. `look` reads what was named and returns its Record or Delete,
    or nothing where it says nothing new; None: the collection's `fetch` does, which it then must have. `accounts` says
    whose accounts a genuine delivery to an app speaks of, as `Account.id` has them; None: the provider sends webhooks
    to no app. What it raises of a body that it cannot read makes the delivery unreadable, as with `read`.
    """

    read: Callable[[Delivery, str, datetime], list[Hint]]
    tolerance: timedelta = timedelta(minutes=5)
    look: Look | None = None
    accounts: Callable[[Delivery], list[str]] | None = None
