"""Records as they are shown: the provider's bytes are spliced in, never read and written again."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from orjson import Fragment

from headrace.api.services import Services
from headrace.control import syncs
from headrace.control.syncs import Sync
from headrace.ids import event_id
from headrace.stream.consumers.source import Entry
from headrace.stream.events.reading import StoredEvent
from headrace.stream.read import StoredRecord


async def syncs_of(services: Services, org_id: UUID, records: Iterable[StoredRecord]) -> Mapping[UUID, Sync]:
    """The syncs of `records` by id. One that was deleted a moment ago is left out, and so are its records then."""

    async def load(missing: Collection[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Sync]:
        async with services.db.api.acquire() as conn:
            found = await syncs.by_ids(conn, org_id, [sync_id for _, sync_id in missing])
        return {(org_id, sync.id): sync for sync in found}

    keys = {(org_id, record.sync_id) for record in records}
    return {sync_id: sync for (_, sync_id), sync in (await services.syncs.get_many(keys, load)).items()}


_NEXT, _LAST = b"}},", b"}}"


class Renderer:
    """Renders the records of one answer: what they have in common is made once per sync and collection."""

    def __init__(self, found: Mapping[UUID, Sync]) -> None:
        self._syncs = found
        self._common: dict[tuple[UUID, str], str] = {}
        self._inserted: tuple[datetime | None, str] = (None, "null")

    def record(self, record: StoredRecord) -> Fragment | None:
        """The record, for `dumps`; None when its sync is gone."""
        head = self._head(record)
        return None if head is None else Fragment(b"".join((head.encode(), record.data, b"}")))

    def event(self, event: StoredEvent) -> Fragment | None:
        """The event, for `dumps`; None when its sync is gone."""
        head = self._head(event)
        if head is None:
            return None
        return Fragment(b"".join((_told(event).encode(), event.changes, f",{head[1:]}".encode(), event.data, b"}")))

    def message(self, entry: Entry) -> dict[str, Any] | None:
        """`record` or `event` of a message; None when the sync is gone."""
        if isinstance(entry, StoredEvent):
            event = self.event(entry)
            return None if event is None else {"event": event}
        record = self.record(entry)
        return None if record is None else {"record": record}

    def answer(self, messages: Iterable[tuple[str, Entry]], info: Mapping[str, int]) -> tuple[bytes, int]:
        """The JSON of an answer with these messages of (ack token, entry), and of how many: those whose sync is there.

        A thousand messages are megabytes: they are copied once.
        """
        parts: list[bytes] = [b'{"data":[']
        shown = 0
        for token, entry in messages:
            head = self._head(entry)
            if head is None:
                continue
            if isinstance(entry, StoredEvent):
                told = f'{{"ack_token":"{token}","event":{_told(entry)}'
                parts += (told.encode(), entry.changes, f",{head[1:]}".encode(), entry.data, _NEXT)
            else:
                parts += (f'{{"ack_token":"{token}","record":{head}'.encode(), entry.data, _NEXT)
            shown += 1
        if shown:
            parts[-1] = _LAST
        parts += (b'],"info":', dumps(info), b"}")
        return b"".join(parts), shown

    def events(self, events: Iterable[StoredEvent]) -> list[Fragment]:
        """Those whose sync is there."""
        return [one for event in events if (one := self.event(event)) is not None]

    def records(self, records: Iterable[StoredRecord]) -> list[Fragment]:
        """Those whose sync is there."""
        return [one for record in records if (one := self.record(record)) is not None]

    def _head(self, record: StoredRecord) -> str | None:
        """What stands before the data; None when its sync is gone."""
        kind = (record.sync_id, record.collection_id)
        common = self._common.get(kind)
        if common is None:
            sync = self._syncs.get(record.sync_id)
            if sync is None:
                return None
            common = self._common[kind] = _common(sync, record.collection_id)
        created, updated = record.upstream_created_at, record.upstream_updated_at
        created_text = _moment(created)
        updated_text = created_text if created == updated else _moment(updated)
        if record.inserted_at != self._inserted[0]:  # records of one append have it in common
            self._inserted = (record.inserted_at, _moment(record.inserted_at))
        return (
            f'{{"id":"{record.record_id}",{common},"upstream_id":{_json(record.upstream_id)},'
            f'"updated_idx":{record.updated_idx},"deleted":{"true" if record.deleted else "false"},'
            f'"upstream_created_at":{created_text},"upstream_updated_at":{updated_text},'
            f'"inserted_at":{self._inserted[1]},"data":'
        )


def _told(event: StoredEvent) -> str:
    """What stands before an event's changes."""
    return (
        f'{{"event":"{event.event}","event_id":"{event_id(event.record_id, event.updated_idx)}",'
        f'"event_inserted_at":{_moment(event.appended_at)},"changes":'
    )


def _common(sync: Sync, collection_id: str) -> str:
    """What the records of a sync's collection have in common: members of the object, as JSON."""
    shown = {"id": str(sync.id), "external_id": sync.external_id, "metadata": Fragment(sync.metadata)}
    members = {
        "stream_id": str(sync.stream_id),
        "provider": sync.provider,
        "collection_id": collection_id,
        "sync_id": str(sync.id),
        "sync": shown,
    }
    return orjson.dumps(members)[1:-1].decode()


def dumps(content: Any) -> bytes:
    """The JSON of an answer with rendered records in it."""
    return orjson.dumps(content)


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


def _moment(moment: datetime | None) -> str:
    """As JSON, in the form of `clock.iso`, at a fraction of the cost. `moment` is in UTC, as the database gives it."""
    return "null" if moment is None else f'"{moment.isoformat(timespec="microseconds")[:26]}Z"'
