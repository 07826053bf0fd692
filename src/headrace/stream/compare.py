"""What an append has to write: each newcomer against what is held of its record.

The comparison is made outside the append's transaction; the transaction's statements write only over the very rows
that were compared, and the append begins anew when one of them was not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.stream.dictionaries import read_again, texts
from headrace.stream.hashes import canon_hash, same_content
from headrace.stream.incoming import NEWER, OLDER, UNCLEAR, Incoming, order
from headrace.stream.items import Canon, Delete, Fence, Mention, Record

_SQL = load(__package__, "append.sql")
_READ_HELD = _SQL.read_held
_READ_PAYLOADS = _SQL.read_payloads
_PLAIN = Canon()
LAST_NUMBER = 2**53 - 1


@dataclass(slots=True)
class Held:
    """A row of `records` as it stood when it was compared."""

    updated_idx: int | None
    deleted: bool
    version: int
    as_of: datetime
    slack: timedelta
    strong: bool
    raw_hash: bytes
    canon_hash: bytes | None
    canon_version: int


@dataclass(slots=True)
class Overwrite:
    """A newcomer that takes the place of `held`, with its canonical form's hash where that was needed."""

    new: Incoming
    held: Held | None
    canon_hash: bytes | None = None
    canon_version: int = 0

    @property
    def creates(self) -> bool:
        return self.held is None or self.held.updated_idx is None


@dataclass(slots=True)
class Changes:
    """What is to be written, by the statement that writes it, and what is not."""

    upserts: list[Overwrite] = field(default_factory=list)
    deletes: list[Overwrite] = field(default_factory=list)
    tombstones: list[Incoming] = field(default_factory=list)
    refreshes: list[Overwrite] = field(default_factory=list)
    purged: list[Overwrite] = field(default_factory=list)
    """Rows that are being purged and must make room for an upsert or a tombstone, which stand above as well."""
    unclear: list[Mention] = field(default_factory=list)
    unchanged: int = 0
    stale: int = 0
    event_days: int = 0
    """For how long the stream keeps events, as it was seen with the comparison."""
    head: int = LAST_NUMBER
    """The stream's last number when the first of these were compared: what has a later one was not."""
    removals: int | None = None
    """How often retention had removed records of the sync by then."""

    @property
    def numbers(self) -> int:
        """How many numbers the stream must give."""
        return len(self.upserts) + len(self.deletes)

    @property
    def writes(self) -> bool:
        return bool(self.numbers or self.tombstones or self.refreshes or self.purged)


async def compare(conn: Conn, fence: Fence, incoming: Sequence[Incoming], canons: Mapping[str, Canon]) -> Changes:
    """Compare at most some thousands of newcomers, each of another record, with what is held."""
    changes = Changes()
    ids = [new.record_id for new in incoming]
    rows = await conn.fetch(_READ_HELD, fence.stream_id, ids, [new.raw_hash for new in incoming], fence.sync_id)
    changes.unchanged = len(incoming) - len(rows)
    purges: list[tuple[str | None, int]] = []
    if rows:
        purges = list(zip(rows[0]["purged"] or (), rows[0]["purged_up_to"] or (), strict=True))
        changes.event_days = rows[0]["event_days"] or 0
        changes.head, changes.removals = rows[0]["head"] or 0, rows[0]["removals"]
    doubtful: list[tuple[Overwrite, Held, int]] = []
    for row in rows:
        new = incoming[row["ord"] - 1]
        held = None if row["as_of"] is None else _held(row)
        if held is not None and purges and _purged(new, held, purges):
            changes.purged.append(Overwrite(new, held))
            held = None
        if held is None:
            if isinstance(new.item, Record):
                changes.upserts.append(Overwrite(new, None))
            else:
                changes.tombstones.append(new)
        elif isinstance(new.item, Delete):
            _judge_delete(new, held, changes)
        elif held.deleted:
            _judge_return(new, held, changes)
        else:
            verdict = _verdict(new.item, held)
            if verdict == OLDER:
                changes.stale += 1
            else:
                doubtful.append((Overwrite(new, held), held, verdict))
    if doubtful:
        await _compare_contents(conn, fence, doubtful, canons, changes)
    return changes


def _held(row: Any) -> Held:
    slack = timedelta(milliseconds=row["slack_ms"])
    fields = ("raw_hash", "canon_hash", "canon_version")
    return Held(
        row["updated_idx"],
        row["deleted"],
        row["version"],
        row["as_of"],
        slack,
        row["strong"],
        *(row[f] for f in fields),
    )


def _purged(new: Incoming, held: Held, purges: Sequence[tuple[str | None, int]]) -> bool:
    idx = held.updated_idx
    return idx is not None and any(
        idx <= up_to and collection in (None, new.item.collection) for collection, up_to in purges
    )


def _verdict(new: Record | Delete, held: Held) -> int:
    """NEWER, UNCLEAR or OLDER; what an eventually consistent reading says of equal versions is never certain."""
    found = order(new.version, new.as_of, new.slack, held.version, held.as_of, held.slack)
    by_version = new.version and held.version and new.version != held.version
    strong = new.strong if isinstance(new, Record) else True
    if by_version or strong == held.strong:
        return found
    uncertain = NEWER if held.strong else OLDER
    return UNCLEAR if found == uncertain else found


def _judge_delete(new: Incoming, held: Held, changes: Changes) -> None:
    verdict = _verdict(new.item, held)
    if held.deleted:
        changes.unchanged += 1
        if verdict == NEWER and (new.item.as_of > held.as_of or new.item.version > held.version):
            # The later moment, or higher version, guards against pictures from between the two.
            new.raw_hash = held.raw_hash
            changes.refreshes.append(Overwrite(new, held, held.canon_hash, held.canon_version))
    elif verdict == NEWER:
        changes.deletes.append(Overwrite(new, held))
    elif verdict == UNCLEAR:
        changes.unclear.append(new.mention())
    else:
        changes.stale += 1


def _judge_return(new: Incoming, held: Held, changes: Changes) -> None:
    """A record that was held as deleted, or as a tombstone, is shown again."""
    verdict = _verdict(new.item, held)
    if verdict == NEWER:
        changes.upserts.append(Overwrite(new, held))
    elif verdict == UNCLEAR:
        changes.unclear.append(new.mention())
    else:
        changes.stale += 1


@read_again
async def _payloads(conn: Conn, fence: Fence, record_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    rows = await conn.fetch(_READ_PAYLOADS, fence.stream_id, record_ids)
    held = await texts(conn, fence.stream_id, [(row["codec"], row["data"]) for row in rows])
    return {row["record_id"]: text for row, text in zip(rows, held, strict=True)}


async def _compare_contents(
    conn: Conn,
    fence: Fence,
    doubtful: Sequence[tuple[Overwrite, Held, int]],
    canons: Mapping[str, Canon],
    changes: Changes,
) -> None:
    """Other bytes need not be other content: the canonical forms decide, made of the held data when first needed.

    With volatile fields the bytes differ at each reading, so the hash of the form is kept: the held data is read once.
    Without, bytes that differ are a change but for rare cases, and a hash would seldom be asked for.
    """
    wanted = [
        over.new.record_id
        for over, held, _ in doubtful
        if held.canon_hash is None or held.canon_version != canons.get(over.new.item.collection, _PLAIN).version
    ]
    payloads = await _payloads(conn, fence, wanted) if wanted else {}
    for over, held, verdict in doubtful:
        item = over.new.item
        assert isinstance(item, Record)
        canon = canons.get(item.collection, _PLAIN)
        payload = payloads.get(over.new.record_id)
        if payload is None or canon.volatile:
            over.canon_hash, over.canon_version = canon_hash(item.raw, canon), canon.version
            same = over.canon_hash == (held.canon_hash if payload is None else canon_hash(payload, canon))
        elif same := same_content(payload, item.raw):
            over.canon_hash, over.canon_version = canon_hash(item.raw, canon), canon.version
        if same:
            changes.unchanged += 1
            # With volatile fields the bytes differ at each reading: only what saves work the next time is written.
            if verdict == NEWER and (payload is not None or not canon.volatile):
                changes.refreshes.append(over)
        elif verdict == NEWER:
            changes.upserts.append(over)
        else:
            changes.unclear.append(over.new.mention())
