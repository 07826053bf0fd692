"""Records as they are shown: the provider's bytes are spliced in, never read and written again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson

from headrace.api.services import Services
from headrace.control import syncs
from headrace.control.syncs import Sync
from headrace.stream.read import StoredRecord


async def syncs_of(services: Services, org_id: UUID, records: Iterable[StoredRecord]) -> Mapping[UUID, Sync]:
    """The syncs of `records` by id. One that was deleted a moment ago is left out, and so are its records then."""

    async def load(missing: Collection[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Sync]:
        async with services.db.api.acquire() as conn:
            found = await syncs.by_ids(conn, org_id, [sync_id for _, sync_id in missing])
        return {(org_id, sync.id): sync for sync in found}

    keys = {(org_id, record.sync_id) for record in records}
    return {sync_id: sync for (_, sync_id), sync in (await services.syncs.get_many(keys, load)).items()}


class Renderer:
    """Renders the records of one answer: what they have in common is made once per sync and collection."""

    def __init__(self, found: Mapping[UUID, Sync]) -> None:
        self._syncs = found
        self._common: dict[tuple[UUID, str], str] = {}

    def record(self, record: StoredRecord) -> bytes | None:
        """The record's JSON; None when its sync is gone."""
        key = (record.sync_id, record.collection_id)
        common = self._common.get(key)
        if common is None:
            sync = self._syncs.get(record.sync_id)
            if sync is None:
                return None
            common = self._common[key] = _common(sync, record.collection_id)
        head = (
            f'{{"id":"{record.record_id}",{common},"upstream_id":{orjson.dumps(record.upstream_id).decode()},'
            f'"updated_idx":{record.updated_idx},"deleted":{"true" if record.deleted else "false"},'
            f'"upstream_created_at":{_moment(record.upstream_created_at)},'
            f'"upstream_updated_at":{_moment(record.upstream_updated_at)},'
            f'"inserted_at":{_moment(record.inserted_at)},"data":'
        )
        return b"%b%b}" % (head.encode(), record.data)

    def records(self, records: Sequence[StoredRecord]) -> bytes:
        """A JSON list of those whose sync is there."""
        return b"[%b]" % b",".join(one for record in records if (one := self.record(record)) is not None)


def _common(sync: Sync, collection_id: str) -> str:
    external_id = orjson.dumps(sync.external_id).decode()
    return (
        f'"stream_id":"{sync.stream_id}","provider":"{sync.provider}",'
        f'"collection_id":{orjson.dumps(collection_id).decode()},"sync_id":"{sync.id}",'
        f'"sync":{{"id":"{sync.id}","external_id":{external_id},"metadata":{sync.metadata}}}'
    )


def _moment(moment: datetime | None) -> str:
    """As `clock.iso` writes it, four times as fast: the database's moments are in UTC."""
    return "null" if moment is None else f'"{moment.isoformat(timespec="microseconds")[:-6]}Z"'
