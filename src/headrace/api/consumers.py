"""/v1/http-consumers: configuration. Taking messages is in `consume`."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json, deleted, nothing_but, verbatim
from headrace.api.auth import Caller, StreamRead, require_stream
from headrace.api.body import Fields, JsonBody
from headrace.api.change import StreamChange
from headrace.api.fields import UNSET, Id, Integer, Metadata, Name, wrong
from headrace.api.paging import Paging
from headrace.api.queries import DryRun, IdText, MetadataFilter, as_id
from headrace.api.services import services_of
from headrace.api.streams import named_stream
from headrace.clock import iso
from headrace.control import consumers, streams
from headrace.control.consumers import Consumer, DeliverPolicy
from headrace.db.pool import Conn
from headrace.errors import NotFound
from headrace.ids import parse_uuid, uuid7
from headrace.stream import lifecycle as stream_lifecycle
from headrace.stream.consumers import lifecycle
from headrace.stream.consumers.lifecycle import ConsumerSettings, Counts

router = APIRouter(tags=["consumers"])

_MOST = 2**31 - 1
_MOST_VALUES = 1000
_EVENT_DAYS = 7  # for which a stream keeps events once they have a consumer
_OLDER_FILTERS = {"resource_id": "sync_id", "collection": "collection_id"}

_NOT_ZERO = {"not": {"const": 0}}


def _not_zero(value: int) -> int:
    if value == 0:
        raise wrong("must be -1 (no end) or at least 1")
    return value


AckWait = Annotated[Integer, Field(ge=1, le=86_400_000, description="Milliseconds until a message is due again.")]
MaxDeliver = Annotated[
    Integer,
    AfterValidator(_not_zero),
    Field(ge=-1, le=_MOST, description="Deliveries before the dead letters; -1: no end.", json_schema_extra=_NOT_ZERO),
]
MaxAckPending = Annotated[Integer, Field(ge=1, le=100_000, description="The most messages that are out at a time.")]


def _filter_value(value: object) -> object:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(each, str) and each and each != "*" for each in value):
        if len(value) > _MOST_VALUES:
            raise wrong(f"must have at most {_MOST_VALUES} values")
        return list(dict.fromkeys(value))
    raise wrong('must be "*", a value, or a list of values, each a string')


FilterValue = Annotated[
    Any,
    BeforeValidator(_filter_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "not": {"const": "*"}},
                    "minItems": 1,
                    "maxItems": _MOST_VALUES,
                },
            ]
        }
    ),
]


def _sync_ids(value: Any) -> Any:
    for id_ in [value] if isinstance(value, str) else value:
        if id_ != "*" and parse_uuid(id_) is None:
            raise wrong('must be "*", the id of a sync, or a list of such ids')
    return value


class Filters(Fields):
    """What is delivered: each "*", a value, or a list of values. All must match."""

    provider: FilterValue = "*"
    sync_id: Annotated[FilterValue, AfterValidator(_sync_ids)] = "*"
    collection_id: FilterValue = "*"


def _filters(value: object) -> object:
    """The older spellings of the names, then the rest by the model."""
    if not isinstance(value, dict):
        return value
    return {_OLDER_FILTERS.get(name, name): held for name, held in value.items()}


ConsumerFilters = Annotated[Filters, BeforeValidator(_filters)]


class _ConsumerFields(Fields):
    output_only = frozenset(
        {"id", "created_at", "updated_at", "num_pending", "num_ack_pending", "num_dead", "num_lost", "health"}
    )
    older: ClassVar[Mapping[str, str]] = {"ack_wait": "ack_wait_ms"}


class ConsumerCreate(_ConsumerFields):
    stream_id: Id
    name: Name | None = None
    kind: Literal["records", "events"] = "records"
    deliver_policy: DeliverPolicy = "all"
    ack_wait_ms: AckWait = 30_000
    max_deliver: MaxDeliver = -1
    max_ack_pending: MaxAckPending = 1000
    filters: ConsumerFilters = Filters()
    metadata: Metadata = "{}"


class ConsumerPatch(_ConsumerFields):
    fixed: ClassVar[Mapping[str, str]] = {"stream_id": "cannot be updated; make another consumer on the other stream"}

    name: Name = UNSET
    kind: Literal["records", "events"] = UNSET
    deliver_policy: DeliverPolicy = UNSET
    ack_wait_ms: AckWait = UNSET
    max_deliver: MaxDeliver = UNSET
    max_ack_pending: MaxAckPending = UNSET
    filters: ConsumerFilters = UNSET
    metadata: Metadata = UNSET


async def _path_consumer(
    id: Annotated[str, Path(description="The consumer's id.")],  # noqa: A002
    request: Request,
    principal: Caller,
) -> Consumer:
    async with services_of(request).db.api.acquire() as conn:
        return await find(conn, principal, id)


async def find(conn: Conn, principal: Caller, id_: str) -> Consumer:
    """The consumer of a path. Raises NotFound, for one on a stream that the token does not reach too."""
    consumer_id = parse_uuid(id_)
    if consumer_id is None:
        raise NotFound("There is no such consumer: its id is malformed. List those there are: GET /v1/http-consumers.")
    consumer = await consumers.get(conn, principal.org_id, consumer_id)
    require_stream(principal, consumer.stream_id, "consumer", consumer_id)
    return consumer


PathConsumer = Annotated[Consumer, Depends(_path_consumer)]


def render(consumer: Consumer) -> dict[str, Any]:
    return {
        "id": str(consumer.id),
        "stream_id": str(consumer.stream_id),
        "name": consumer.name,
        "kind": consumer.kind,
        "deliver_policy": consumer.deliver_policy,
        "ack_wait_ms": consumer.ack_wait_ms,
        "max_deliver": consumer.max_deliver,
        "max_ack_pending": consumer.max_ack_pending,
        "filters": {name: consumer.filters[name] for name in Filters.model_fields},
        "metadata": verbatim(consumer.metadata),
        "created_at": iso(consumer.created_at),
        "updated_at": iso(consumer.updated_at),
    }


@router.post("/v1/http-consumers", response_model=shapes.ConsumerObject)
async def create_consumer(
    change: StreamChange, body: Annotated[ConsumerCreate, Depends(JsonBody(ConsumerCreate))]
) -> Json:
    """Make a consumer."""
    async with change.transaction() as tx:
        consumer = _made(body, tx.principal.org_id, tx.now)
        await named_stream(tx.conn, tx.principal, body.stream_id)
        await consumers.insert(tx.conn, consumer)
        await _keep_events(tx.conn, consumer, tx.now)
        await lifecycle.create_consumer(
            tx.conn,
            consumer.stream_id,
            consumer.id,
            consumer.org_id,
            settings_of(consumer),
            consumer.deliver_policy,
            tx.now,
        )
        return tx.answer(render(consumer), object_id=consumer.id)


@router.get("/v1/http-consumers", response_model=shapes.Consumers)
async def list_consumers(
    request: Request,
    principal: StreamRead,
    page: Paging,
    stream_id: Annotated[IdText | None, Query()] = None,
    name: Annotated[str | None, Query()] = None,
    metadata: MetadataFilter = None,
) -> Json:
    """List consumers."""
    async with services_of(request).db.api.acquire() as conn:
        rows = await consumers.list_(
            conn,
            principal.org_id,
            limit=page.limit + 1,
            after=page.after,
            among_streams=principal.stream_ids,
            stream_id=as_id(stream_id),
            name=name,
            metadata=metadata,
        )
    return page.answer(rows, render)


@router.get("/v1/http-consumers/{id}", response_model=shapes.ConsumerWithCounts)
async def get_consumer(request: Request, _principal: StreamRead, consumer: PathConsumer) -> Json:
    """One consumer, with what waits, what is out and what was set aside."""
    services = services_of(request)
    async with services.db.api.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        counts = await lifecycle.counts(conn, consumer.stream_id, consumer.id, services.db.clock.now())
    return Json(render(consumer) | asdict(counts) | {"health": _health(consumer, counts)})


@router.patch("/v1/http-consumers/{id}", response_model=shapes.ConsumerObject)
async def update_consumer(
    change: StreamChange, consumer: PathConsumer, body: Annotated[ConsumerPatch, Depends(JsonBody(ConsumerPatch))]
) -> Json:
    """Change a consumer. A changed `deliver_policy` or `kind` moves it anew and voids the tokens that are out; another
    `kind` gives up what was set aside."""
    change.after_commit(change.services.consumers.forget)
    given = body.given()
    if "filters" in given:
        given["filters"] = body.filters.model_dump()
    async with change.transaction() as tx:
        held = await consumers.get(tx.conn, consumer.org_id, consumer.id, lock=True)
        wanted = replace(held, **given)
        if wanted != held:
            wanted = replace(wanted, updated_at=tx.now)
            await consumers.update(tx.conn, wanted)
            await _keep_events(tx.conn, wanted, tx.now)
            stays = (wanted.deliver_policy, wanted.kind) == (held.deliver_policy, held.kind)
            moved = None if stays else wanted.deliver_policy
            await lifecycle.alter_consumer(tx.conn, wanted.stream_id, wanted.id, settings_of(wanted), moved, tx.now)
        return tx.answer(render(wanted))


@router.delete("/v1/http-consumers/{id}", response_model=shapes.Deleted | shapes.Plan)
async def delete_consumer(change: StreamChange, consumer: PathConsumer, dry_run: DryRun = False) -> Json:
    """Delete a consumer with its position, what is out, and its dead letters."""
    change.after_commit(change.services.consumers.forget)
    async with change.transaction() as tx:
        await consumers.get(tx.conn, consumer.org_id, consumer.id, lock=True)
        if dry_run:
            return tx.plan(nothing_but(consumer.id))
        await lifecycle.delete_consumer(tx.conn, consumer.stream_id, consumer.id)
        await consumers.delete(tx.conn, consumer.org_id, consumer.id)
        return tx.answer(deleted(consumer.id))


def _health(consumer: Consumer, counts: Counts) -> dict[str, Any]:
    notes = []
    if counts.num_dead:
        notes.append(
            f"{counts.num_dead} messages were set aside; GET …/dead-letters shows why, POST …/replay repeats them."
        )
    if counts.num_lost:
        notes.append(
            f"{counts.num_lost} events were dropped before they were delivered; raise the stream's event_days."
        )
    if counts.num_pending and counts.num_ack_pending >= consumer.max_ack_pending:
        notes.append("max_ack_pending messages are out: more are handed out once some are acked.")
    return {"status": "warning" if notes else "healthy", "notes": notes}


def settings_of(consumer: Consumer) -> ConsumerSettings:
    """What the stream keeps of a consumer's configuration."""
    return ConsumerSettings(
        kind=consumer.kind,
        ack_wait_ms=consumer.ack_wait_ms,
        max_deliver=consumer.max_deliver,
        max_ack_pending=consumer.max_ack_pending,
        filters=consumer.filters,
    )


def _made(body: ConsumerCreate, org_id: UUID, now: datetime) -> Consumer:
    id_ = uuid7()
    return Consumer(
        org_id=org_id,
        id=id_,
        stream_id=body.stream_id,
        name=body.name or f"consumer-{id_.hex[-8:]}",
        kind=body.kind,
        deliver_policy=body.deliver_policy,
        ack_wait_ms=body.ack_wait_ms,
        max_deliver=body.max_deliver,
        max_ack_pending=body.max_ack_pending,
        filters=body.filters.model_dump(),
        metadata=body.metadata,
        created_at=now,
        updated_at=now,
    )


async def _keep_events(conn: Conn, consumer: Consumer, now: datetime) -> None:
    """A stream with a consumer of events keeps them."""
    if consumer.kind == "events":
        stream = await streams.get(conn, consumer.org_id, consumer.stream_id, lock=True)
        if not stream.event_days:
            await streams.update(conn, replace(stream, event_days=_EVENT_DAYS, updated_at=now))
            await stream_lifecycle.keep_events(conn, stream.id, _EVENT_DAYS)
