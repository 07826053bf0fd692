"""Checkpoints as typed values: what each reading keeps from one append to the next.

A value is stored as JSON with the version of its form. A reading only ever sees the newest form: `decode` lifts older
ones step by step through the `upgrades` of the type, and refuses a newer one, which only a newer release can read.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeVar
from uuid import UUID

import msgspec
import orjson

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import HeadraceError
from headrace.providers.kit import Cursor, Window
from headrace.stream.items import CheckpointWrite

SQL = load(__package__, "checkpoints.sql")
CHECKPOINTS_OF_SYNC, CHECKPOINTS_OF_SYNCS = SQL.checkpoints_of_sync, SQL.checkpoints_of_syncs
PUT_CHECKPOINT = SQL.put_checkpoint

Reading = Literal["backfill", "changes", "settled", "sweep"]
CheckpointKey = tuple[str, str]
"""(reading, scope) of a row of a sync."""
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


class NewerForm(HeadraceError):
    """The checkpoint was written by a newer release of Headrace."""


@dataclass(slots=True)
class Mark:
    """What a checkpoint's value has in common: the version of its form, and how each older form becomes the next."""

    form: ClassVar[int] = 1
    upgrades: ClassVar[Mapping[int, Upgrade]] = {}
    """form → what makes the value one of form + 1."""


@dataclass(slots=True)
class Span:
    """A window of one partition (None: the collection has none)."""

    window: Window
    partition: str | None = None


@dataclass(slots=True)
class Walk:
    """A closed stretch of time on its way to being read.

    `lo` and `hi` bound the whole; `spans` are the windows of it still to be read, in this order; the first is the one
    that `cursor` belongs to. `read` counts the items that it gave so far (for a result cap). `began` is when the first
    page was asked for, in the provider's clock; `began_at` in the database's.
    """

    lo: datetime
    hi: datetime
    spans: list[Span]
    began: datetime
    began_at: datetime
    cursor: Cursor | None = None
    read: int = 0


@dataclass(slots=True)
class HeadMark(Mark):
    """The fast horizon of a reading by time. Everything before `position` was read once, as it then showed.

    `read_at` is when the last finished read began, by the database's clock, or when the position was fixed: what a
    barrier waits for. `partitions` are those that were there then (None: not known yet): another one that turns up is
    to be read whole.
    """

    position: datetime
    read_at: datetime
    walk: Walk | None = None
    partitions: list[str] | None = None


@dataclass(slots=True)
class SettledMark(Mark):
    """The settled horizon: everything before `through` was read after its answers had become final."""

    through: datetime
    walk: Walk | None = None


@dataclass(slots=True)
class TokenMark(Mark):
    """A place in a feed that is told by the provider's own cursor. At `caught_up` (the provider's clock) it was at the
    feed's end; `read_at` is when that read began, by the database's clock."""

    token: Cursor
    caught_up: datetime
    read_at: datetime


BackfillCause = Literal["new", "asked", "age", "gap", "returned", "grown"]


@dataclass(slots=True)
class BackfillMark(Mark):
    """A collection's backfill as a whole; its slices have rows of their own.

    `due` waits to begin, `reading` has slices, `done` needs nothing, `purged` waits to be asked for. `window` bounds
    what is read (the age limit, or the span that a raised limit adds). `along` names the collection in whose listing
    this one's records come; `carries` are those that ride along in this one. `slices` counts the numbers given out.
    `since`: until this backfill is done, the collection is only known to be complete up to then (a gap in its feed).
    """

    state: Literal["due", "reading", "done", "purged"] = "due"
    cause: BackfillCause = "new"
    window: Window = field(default_factory=Window)
    began: datetime | None = None
    carries: list[str] = field(default_factory=list)
    along: str | None = None
    slices: int = 0
    since: datetime | None = None


@dataclass(slots=True)
class SliceMark(Mark):
    """One slice of a backfill: a window of one partition, read by one cursor. `at` is the time of the last record of
    the last page stored, by which the rest can be shared."""

    window: Window
    cursor: Cursor | None = None
    partition: str | None = None
    at: datetime | None = None


@dataclass(slots=True)
class RefusedMark(Mark):
    """How far a partition has been read that had been refused. `due` is the moment for which this attempt was set: one
    that was refused anew has another, and begins anew, since nobody followed it meanwhile."""

    due: datetime
    cursor: Cursor | None = None


@dataclass(slots=True)
class SweepMark(Mark):
    """A sweep of one listing, for its collection and those embedded in it.

    `began` is in the provider's clock: only what was held before it can be missing. `passes` counts whole passes; the
    ids seen by any pass of `sweep_id` are in sweep_seen. `partitions` are those still to be read, the first being the
    one under way; `left_out` are those that were refused: of their records nothing is concluded. `scopes` is what the
    credential was allowed when the sweep began. In the database's clock: `due_at`
    is when the next one is to begin, `read_at` when the last finished one began.
    """

    state: Literal["waiting", "reading", "judging"] = "waiting"
    due_at: datetime | None = None
    sweep_id: UUID | None = None
    began: datetime | None = None
    began_at: datetime | None = None
    read_at: datetime | None = None
    members: list[str] = field(default_factory=list)
    partitions: list[str | None] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    passes: int = 0
    cursor: Cursor | None = None
    scopes: str = ""


M = TypeVar("M", bound=Mark)


def encode(mark: Mark) -> dict[str, Any]:
    """The value as JSON types; a snapshot, which later changes of the mark do not touch."""
    value: dict[str, Any] = msgspec.to_builtins(mark)
    return value


def decode(kind: type[M], form: int, text: str) -> M:
    """The value of a row, whichever form it was written in. Raises NewerForm."""
    if form > kind.form:
        raise NewerForm(
            f"A checkpoint has form {form} of {kind.__name__}, but this release reads up to {kind.form}: "
            "run the newer release that wrote it."
        )
    value = orjson.loads(text)
    for step in range(form, kind.form):
        value = kind.upgrades[step](value)
    return msgspec.convert(value, kind)


@dataclass(slots=True)
class Checkpoint:
    """A row of the table as it was read."""

    reading: Reading
    scope: str
    collection_id: str | None
    form: int
    value: str
    pages: int
    records: int
    expected: int | None
    started_at: datetime | None
    settled_through: datetime | None
    completed_at: datetime | None
    last_success_at: datetime | None
    last_error: str | None

    def mark(self, kind: type[M]) -> M:
        return decode(kind, self.form, self.value)


Checkpoints = dict[tuple[str, str], Checkpoint]
"""(reading, scope) → row."""


def backfill_mark(checkpoints: Checkpoints, collection_id: str) -> BackfillMark:
    """A collection without a row is still to be backfilled."""
    row = checkpoints.get(("backfill", collection_id))
    return BackfillMark() if row is None else row.mark(BackfillMark)


async def load_checkpoints(conn: Conn, stream_id: UUID, sync_id: UUID) -> Checkpoints:
    rows = await conn.fetch(CHECKPOINTS_OF_SYNC, stream_id, sync_id)
    return {(row["reading"], row["scope"]): Checkpoint(*row) for row in rows}


async def load_checkpoints_of(
    conn: Conn, stream_ids: Collection[UUID], sync_ids: Collection[UUID]
) -> dict[UUID, Checkpoints]:
    """Those of several syncs, which are on these streams; a sync without any is missing."""
    found: defaultdict[UUID, Checkpoints] = defaultdict(dict)
    for sync_id, *row in await conn.fetch(CHECKPOINTS_OF_SYNCS, list(set(stream_ids)), list(sync_ids)):
        found[sync_id][row[0], row[1]] = Checkpoint(*row)
    return dict(found)


async def put(conn: Conn, stream_id: UUID, sync_id: UUID, write: CheckpointWrite) -> None:
    """Write one outside an append, in the caller's transaction: for what a person asked for."""
    value = orjson.dumps(write.value).decode()
    await conn.execute(
        PUT_CHECKPOINT, stream_id, sync_id, write.reading, write.scope, write.collection_id, write.form, value
    )


def slice_scope(collection_id: str, number: int) -> str:
    return f"{collection_id}#{number}"


def refused_scope(collection_id: str, partition: str) -> str:
    return f"{collection_id}/{partition}"


def slice_numbers(checkpoints: Checkpoints, collection_id: str) -> Iterable[tuple[int, Checkpoint]]:
    """The slices of a collection's backfill that are still to be read."""
    prefix = f"{collection_id}#"
    for (reading, scope), row in checkpoints.items():
        if reading == "backfill" and scope.startswith(prefix):
            yield int(scope.removeprefix(prefix)), row


def write(reading: Reading, scope: str, mark: Mark, collection_id: str | None = None, **facts: Any) -> CheckpointWrite:
    """The row of `mark` as an append shall write it; `facts` are the other fields of CheckpointWrite."""
    return CheckpointWrite(reading, scope, encode(mark), form=mark.form, collection_id=collection_id, **facts)


def merge(into: dict[CheckpointKey, CheckpointWrite], writes: Iterable[CheckpointWrite]) -> None:
    """Add writes that come later: of two writes of one row the later value, the sum of the counts, the later of the
    moments."""
    for write in writes:
        key = (write.reading, write.scope)
        earlier = into.get(key)
        into[key] = write if earlier is None else _later(earlier, write)


def _later(earlier: CheckpointWrite, write: CheckpointWrite) -> CheckpointWrite:
    return CheckpointWrite(
        write.reading,
        write.scope,
        write.value,
        form=write.form,
        collection_id=write.collection_id or earlier.collection_id,
        pages=earlier.pages + write.pages,
        requests=earlier.requests + write.requests,
        records=earlier.records + write.records,
        expected=write.expected if write.expected is not None else earlier.expected,
        started_at=write.started_at or earlier.started_at,
        settled_through=write.settled_through or earlier.settled_through,
        completed_at=write.completed_at or earlier.completed_at,
        remove=write.remove,
    )
