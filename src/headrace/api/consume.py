"""Taking messages: `next`, `ack`, `nack`, `extend`, `term`, and the dead letters.

These are bare routes, called thousands of times a second: one look at who calls, one at which consumer, then the
stream. Their OpenAPI stands in `consume_openapi`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from headrace.api.answers import Json
from headrace.api.auth import caller, require, require_stream
from headrace.api.body import Fields, read_object, validated
from headrace.api.fields import Integer
from headrace.api.metrics import DELIVERED, SETTLED
from headrace.api.record_rendering import Renderer, syncs_of
from headrace.api.services import Services, services_of
from headrace.api.watched import watched
from headrace.control import consumers
from headrace.control.consumers import Consumer
from headrace.errors import BadRequest, Invalid, NotFound
from headrace.ids import parse_uuid

MOST_TOKENS = 1000

Tokens = Annotated[list[str], Field(min_length=1, max_length=MOST_TOKENS)]


class NextFields(Fields):
    batch_size: Annotated[Integer, Field(ge=1, le=1000)] = 1
    wait_for: Annotated[Integer, Field(ge=0, le=300_000)] = 0


class AckFields(Fields):
    ack_tokens: Tokens


class NackFields(AckFields):
    delay_ms: Annotated[Integer, Field(ge=0, le=86_400_000)] = 0


class TermFields(AckFields):
    reason: Annotated[str, Field(max_length=1000)] | None = None


class BareRoute(Route):
    """A route without FastAPI, which still shows by its template in metrics and logs. HEAD is not GET here: it would
    take messages and throw them away."""

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], methods: list[str]) -> None:
        super().__init__(path, endpoint, methods=methods)
        assert self.methods is not None
        self.methods.discard("HEAD")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is not Match.NONE:
            child["route"] = self
        return match, child


async def _consumer(request: Request, services: Services) -> Consumer:
    """The consumer of the path, for a caller whose token reaches it."""
    request.scope["headrace.consume"] = True
    principal = await caller(request)
    require(principal, "consume", whole_org=False)
    consumer_id = parse_uuid(request.path_params["id"])
    if consumer_id is None:
        raise NotFound("There is no such consumer: its id is malformed. List those there are: GET /v1/http-consumers.")

    async def load() -> Consumer:
        async with services.db.api.acquire() as conn:
            return await consumers.get(conn, principal.org_id, consumer_id)

    consumer = await services.consumers.get((principal.org_id, consumer_id), load)
    require_stream(principal, consumer.stream_id, "consumer", consumer_id)
    return consumer


async def next_messages(request: Request) -> Response:
    services = services_of(request)
    consumer = await _consumer(request, services)
    asked = await _asked(request)
    async with watched(request, waits=asked.wait_for > 0) as gone:
        delivered = await services.dispatcher.next(
            consumer.stream_id, consumer.id, asked.batch_size, asked.wait_for, gone
        )
    renderer = Renderer(await syncs_of(services, consumer.org_id, (record for _, record in delivered.messages)))
    info = {"num_pending": delivered.num_pending, "num_ack_pending": delivered.num_ack_pending}
    answer, shown = renderer.answer(delivered.messages, info)
    DELIVERED.inc(shown)
    return Json(answer)


async def _asked(request: Request) -> NextFields:
    """`batch_size` and `wait_for`, from the query or a JSON body; of what stands in both, the query's."""
    body = await read_object(request, optional=True) if request.method == "POST" else {}
    query: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name not in NextFields.model_fields:
            raise BadRequest(f"This route knows no query parameter '{name[:100]}'; it takes: batch_size, wait_for.")
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise BadRequest(f"The query parameter '{name}' must be an integer.")
        query[name] = int(value)
    asked = validated(NextFields, body) if body else NextFields()
    if not query:
        return asked
    try:
        return validated(NextFields, {**asked.given(), **query})
    except Invalid as refused:
        name, reasons = next(iter(refused.errors.items()))
        raise BadRequest(f"The query parameter '{name}' {reasons[0]}.") from None


async def ack(request: Request) -> Response:
    services = services_of(request)
    consumer = await _consumer(request, services)
    fields = validated(AckFields, await read_object(request))
    await services.dispatcher.ack(consumer.stream_id, consumer.id, fields.ack_tokens)
    return _done("ack", fields)


async def nack(request: Request) -> Response:
    services = services_of(request)
    consumer = await _consumer(request, services)
    fields = validated(NackFields, await read_object(request))
    await services.dispatcher.nack(consumer.stream_id, consumer.id, fields.ack_tokens, fields.delay_ms)
    return _done("nack", fields)


async def extend(request: Request) -> Response:
    services = services_of(request)
    consumer = await _consumer(request, services)
    fields = validated(AckFields, await read_object(request))
    await services.dispatcher.extend(consumer.stream_id, consumer.id, fields.ack_tokens)
    return _done("extend", fields)


async def term(request: Request) -> Response:
    services = services_of(request)
    consumer = await _consumer(request, services)
    fields = validated(TermFields, await read_object(request))
    await services.dispatcher.term(consumer.stream_id, consumer.id, fields.ack_tokens, fields.reason)
    return _done("term", fields)


def _done(action: str, fields: AckFields) -> Response:
    SETTLED.labels(action).inc(len(set(fields.ack_tokens)))
    return Response(status_code=204)


_PATH = "/v1/http-consumers/{id}"

routes = [
    BareRoute(f"{_PATH}/next", next_messages, ["GET", "POST"]),
    BareRoute(f"{_PATH}/ack", ack, ["POST"]),
    BareRoute(f"{_PATH}/nack", nack, ["POST"]),
    BareRoute(f"{_PATH}/extend", extend, ["POST"]),
    BareRoute(f"{_PATH}/term", term, ["POST"]),
]
