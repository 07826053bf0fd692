"""What can be done with a consumer beside changing it: reset, dead letters, replay."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from headrace.api import shapes
from headrace.api.answers import Json
from headrace.api.auth import StreamRead
from headrace.api.body import Fields, JsonBody
from headrace.api.change import StreamChange
from headrace.api.consumers import PathConsumer, render
from headrace.api.fields import Distinct, Id
from headrace.api.paging import Page, Paging
from headrace.api.record_rendering import Renderer, dumps, syncs_of
from headrace.api.services import services_of
from headrace.clock import iso
from headrace.control import consumers
from headrace.control.consumers import Consumer, DeliverPolicy
from headrace.db.pool import Conn
from headrace.stream.consumers import lifecycle
from headrace.stream.consumers.lifecycle import DeadLetter
from headrace.stream.read import MOST_BYTES

router = APIRouter(tags=["consumers"])

_AT_A_TIME = 50


class ResetFields(Fields):
    """`deliver_policy` left out: the consumer's own."""

    deliver_policy: DeliverPolicy | None = None


class ReplayFields(Fields):
    """`record_ids` left out: all of them."""

    record_ids: Annotated[list[Id], Field(min_length=1, max_length=1000), Distinct] | None = None


@router.post("/v1/http-consumers/{id}/reset", response_model=shapes.ConsumerObject)
async def reset(
    change: StreamChange,
    consumer: PathConsumer,
    body: Annotated[ResetFields, Depends(JsonBody(ResetFields, optional=True))],
) -> Json:
    """Move a consumer to where its policy, or the given one, says. Tokens that are out are void; dead letters stay."""
    services = change.services
    change.after_commit(services.consumers.forget)
    change.after_commit(lambda: services.wakeups.appended(consumer.stream_id))
    async with change.transaction() as tx:
        held = await consumers.get(tx.conn, consumer.org_id, consumer.id, lock=True)
        policy = body.deliver_policy or held.deliver_policy
        if policy != held.deliver_policy:
            held = replace(held, deliver_policy=policy, updated_at=tx.now)
            await consumers.update(tx.conn, held)
        await lifecycle.reset(tx.conn, held.stream_id, held.id, policy, tx.now)
        return tx.answer(render(held))


@router.get("/v1/http-consumers/{id}/dead-letters", response_model=shapes.DeadLetters)
async def list_dead_letters(request: Request, _principal: StreamRead, consumer: PathConsumer, page: Paging) -> Json:
    """The messages that were set aside: delivered `max_deliver` times without an ack, or ended with `term`."""
    services = services_of(request)
    async with services.db.api.acquire() as conn:
        found, more = await _read(conn, consumer, page)
    renderer = Renderer(await syncs_of(services, consumer.org_id, [letter.entry for letter in found]))
    shown = [
        {
            **rendered,
            "updated_idx": letter.idx,
            "deliveries": letter.deliveries,
            "reason": letter.reason,
            "dead_at": iso(letter.dead_at),
        }
        for letter in found
        if (rendered := renderer.message(letter.entry)) is not None
    ]
    next_cursor = page.cursor(found[-1].place) if more else None
    return Json(dumps({"data": shown, "next_cursor": next_cursor}))


@router.post("/v1/http-consumers/{id}/dead-letters/replay", response_model=shapes.Replayed)
async def replay(
    change: StreamChange,
    consumer: PathConsumer,
    body: Annotated[ReplayFields, Depends(JsonBody(ReplayFields, optional=True))],
) -> Json:
    """Let messages that were set aside be delivered again, each in its newest version."""
    change.after_commit(lambda: change.services.wakeups.appended(consumer.stream_id))
    async with change.transaction() as tx:
        count = await lifecycle.replay(tx.conn, consumer.stream_id, consumer.id, tx.now, body.record_ids)
        return tx.answer({"replayed": count})


async def _read(conn: Conn, consumer: Consumer, page: Page) -> tuple[Sequence[DeadLetter], bool]:
    """The dead letters of a page, of at most as much data as an answer may carry; and whether there are more."""
    found: list[DeadLetter] = []
    size = 0
    after: UUID | None = page.after
    while True:
        rows = await lifecycle.dead_letters(conn, consumer.stream_id, consumer.id, _AT_A_TIME, after)
        for letter in rows:
            size += len(letter.entry.data)
            if found and (len(found) == page.limit or size > MOST_BYTES):
                return found, True
            found.append(letter)
        if len(rows) < _AT_A_TIME:
            return found, False
        after = rows[-1].place
