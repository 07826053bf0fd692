"""Consumers: how far each is, what is out, what is dead; and one that can be tried by hand."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.responses import Response

from headrace.console.asking import Refused
from headrace.console.charts import by_minute
from headrace.console.visit import Visit
from headrace.stream.consumers import tally
from headrace.stream.consumers.storage import Key

CHART_MINUTES = 120
_SHOWN = 60
_HAND_WAIT_MS = 1_000


async def every(visit: Visit) -> Response:
    """Which there are. What waits for each takes counting, and comes as the page's first event."""
    return visit.page("consumers.html", **await _listed(visit))


async def every_live(visit: Visit) -> str:
    found = await _listed(visit)
    figures = [await _counted(visit, each) for each in found["consumers"]]
    return visit.fragment("_consumers.html", **{**found, "consumers": [each for each in figures if each is not None]})


async def _listed(visit: Visit) -> dict[str, Any]:
    listed, streams = await asyncio.gather(visit.api.every("/v1/http-consumers"), visit.api.every("/v1/streams"))
    names = {stream["id"]: stream["slug"] for stream in streams}
    return {
        "consumers": listed[:_SHOWN],
        "streams": streams,
        "names": names,
        "hidden": max(0, len(listed) - _SHOWN),
    }


async def _counted(visit: Visit, consumer: dict[str, Any]) -> dict[str, Any] | None:
    """With what waits for it; None for one that was deleted meanwhile."""
    try:
        found: dict[str, Any] = await visit.api.get(f"/v1/http-consumers/{consumer['id']}")
    except Refused as refused:
        if refused.status != 404:
            raise
        return None
    return found


async def create(visit: Visit) -> Response:
    body: dict[str, Any] = {"stream_id": visit.field("stream_id")}
    for name in ("name", "kind", "deliver_policy"):
        if visit.field(name):
            body[name] = visit.field(name)
    made = await visit.api.send("POST", "/v1/http-consumers", body)
    return visit.go(
        f"/consumers/{made['id']}", "The consumer is made: pull its first messages here, or from your code."
    )


async def page(visit: Visit) -> Response:
    return visit.page("consumer.html", **await _figures(visit), messages=None, base=visit.base)


async def live(visit: Visit) -> str:
    return visit.fragment("_consumer.html", **await _figures(visit))


async def pull(visit: Visit) -> Response:
    """Take some messages by hand: they count as delivered until they are acked here, or their time is over."""
    asked = await visit.api.send(
        "POST",
        f"/v1/http-consumers/{visit.id()}/next",
        {"batch_size": int(visit.field("batch_size") or "1"), "wait_for": _HAND_WAIT_MS},
    )
    figures = await _figures(visit)
    return visit.page("consumer.html", **figures, messages=asked["data"], base=visit.base)


async def settle(visit: Visit) -> Response:
    """Ack or nack what was pulled by hand."""
    what = "ack" if visit.field("do") == "ack" else "nack"
    tokens = visit.form.get("ack_token", [])
    await visit.api.send("POST", f"/v1/http-consumers/{visit.id()}/{what}", {"ack_tokens": tokens})
    told = "acked" if what == "ack" else "given back: they are delivered again"
    return visit.go(
        f"/consumers/{visit.id()}", f"{len(tokens)} {'message' if len(tokens) == 1 else 'messages'} {told}."
    )


async def replay(visit: Visit) -> Response:
    await visit.api.send("POST", f"/v1/http-consumers/{visit.id()}/dead-letters/replay", {})
    return visit.go(f"/consumers/{visit.id()}", "The dead letters are delivered again.")


async def reset(visit: Visit) -> Response:
    policy = visit.field("deliver_policy")
    body = {"deliver_policy": policy} if policy else {}
    await visit.api.send("POST", f"/v1/http-consumers/{visit.id()}/reset", body)
    return visit.go(f"/consumers/{visit.id()}", "The consumer begins anew; what was out is void.")


async def delete(visit: Visit) -> Response:
    held = await visit.api.get(f"/v1/http-consumers/{visit.id()}")
    if visit.field("name") != held["name"]:
        return visit.go(f"/consumers/{visit.id()}", "Nothing was deleted: that is not the consumer's name.", "bad")
    await visit.api.send("DELETE", f"/v1/http-consumers/{visit.id()}")
    return visit.go("/consumers", f"{held['name']} is deleted.")


async def _figures(visit: Visit) -> dict[str, Any]:
    id_: UUID = visit.id()
    held, dead = await asyncio.gather(
        visit.api.get(f"/v1/http-consumers/{id_}"), visit.api.get(f"/v1/http-consumers/{id_}/dead-letters", limit=20)
    )
    now = visit.now
    async with visit.services.db.api.acquire() as conn:
        key = Key(UUID(held["stream_id"]), id_)
        done = await tally.minutes(conn, key, now - timedelta(minutes=CHART_MINUTES))
    return {
        "consumer": held,
        "dead": dead["data"],
        "delivered": by_minute({minute: given for minute, (given, _) in done.items()}, now, CHART_MINUTES),
        "acked": by_minute({minute: acked for minute, (_, acked) in done.items()}, now, CHART_MINUTES),
    }
