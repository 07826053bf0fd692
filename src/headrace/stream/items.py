"""What an append is made of: pure data, shared by the connectors (which make it) and the log (which stores it)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

NO_SLACK = timedelta(0)


@dataclass(slots=True)
class Record:
    """One record as the provider sent it.

    `raw` is the record's JSON text, byte for byte. `version` is the provider's version number, or its updated time in
    microseconds, or 0 where it has neither. `as_of` is the moment, in the provider's clock, for which the answer
    speaks: when the request was sent, or the time of the event. `slack` is how far off that moment may be (a feed of
    whole seconds): where it cannot be told which of two pictures is the newer, the record comes back as unclear and
    is fetched. `strong` is False for an eventually consistent reading (a search index). `parsed` says that a parser has
    read this very text to its end as JSON: the append then does not do so again.
    """

    collection: str
    id: str
    raw: bytes
    as_of: datetime
    created: datetime | None = None
    updated: datetime | None = None
    version: int = 0
    parent: str | None = None
    partition: str | None = None
    strong: bool = True
    slack: timedelta = NO_SLACK
    parsed: bool = False


@dataclass(slots=True)
class Delete:
    """The provider said that this record is gone. A record never held leaves a tombstone, without a number."""

    collection: str
    id: str
    as_of: datetime
    version: int = 0
    parent: str | None = None
    partition: str | None = None
    slack: timedelta = NO_SLACK


@dataclass(slots=True)
class Mention:
    """The record changed, but the reading does not carry its canonical shape: the engine fetches it by id.

    `parent` is set where the collection's `Fetch` needs it.
    """

    collection: str
    id: str
    as_of: datetime
    parent: str | None = None
    partition: str | None = None


@dataclass(slots=True)
class ChildSet:
    """The children of one parent are exactly `ids` as of then: others that are held with this parent are deleted.

    Where `slack` leaves open which is the later, the set or the picture held of a child, that child is unclear.
    """

    collection: str
    parent: str
    ids: frozenset[str]
    as_of: datetime
    slack: timedelta = NO_SLACK


@dataclass(slots=True)
class Unread:
    """The children of one parent could not be read where those of others were, for this `reason`: they are set aside
    and tried again by themselves, and none of them that is held is taken for gone."""

    collection: str
    parent: str
    reason: str


Item = Record | Delete | Mention | ChildSet | Unread


@dataclass(frozen=True, slots=True)
class Fence:
    """Who may append: the sync's row in sync_epochs must still have this epoch and revision."""

    stream_id: UUID
    sync_id: UUID
    epoch: int
    revision: int


@dataclass(slots=True)
class CheckpointWrite:
    """A checkpoint row as it shall stand after the append. `value` is the whole new value (JSON).

    `pages`, `requests` and `records` are added to the row's counts, which begin anew where `started_at` is given.
    `settled_through` and `completed_at` are set when not None. `remove` deletes the row (a slice that is done).
    """

    reading: str
    scope: str
    value: dict[str, Any]
    form: int = 1
    collection_id: str | None = None
    pages: int = 0
    requests: int = 0
    records: int = 0
    expected: int | None = None
    started_at: datetime | None = None
    settled_through: datetime | None = None
    completed_at: datetime | None = None
    remove: bool = False


@dataclass(slots=True)
class Batch:
    """One append: records and deletes of one sync with the checkpoints that they prove.

    `canon` maps a collection id to its canonical form (version, volatile fields). `seen` names the sweep that has seen
    every record of the batch. `backfill_completed` sets the sync's initial_backfill_completed_at if it is null.
    `only_if_clear`: while a record of the batch is unclear, neither checkpoints nor completion are written.
    """

    records: list[Record] = field(default_factory=list)
    deletes: list[Delete] = field(default_factory=list)
    child_sets: list[ChildSet] = field(default_factory=list)
    checkpoints: list[CheckpointWrite] = field(default_factory=list)
    seen: UUID | None = None
    backfill_completed: bool = False
    only_if_clear: bool = False


@dataclass(frozen=True, slots=True)
class Canon:
    """A collection's canonical form: `version` grows when the form changes; `volatile` are dotted paths left out."""

    version: int = 1
    volatile: tuple[str, ...] = ()


@dataclass(slots=True)
class Appended:
    """What an append did. `changed` are the (collection, upstream id) whose content is new, deletes not included."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    stale: int = 0
    unclear: list[Mention] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    head: int = 0
    untrained: list[str] = field(default_factory=list)
    """Collections that would be packed smaller with a dictionary; see `dictionaries.train`."""
