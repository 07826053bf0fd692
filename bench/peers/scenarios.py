"""The five scenarios of copying. Each takes a peer through a piece of work, and says what it cost and whether the copy
is right."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bench.peers.ground import Database, Ground, ground
from bench.peers.peer import Failed, Peer
from bench.peers.program import Watch
from bench.peers.provider import COLLECTIONS
from bench.peers.results import Result
from bench.peers.rightness import Verdict, compare, mark

Make = Callable[[Ground], Peer]
Look = Callable[[Peer], Awaitable[None]]
"""What is done with a peer at the end of a scenario, while its copy and the provider still stand."""


async def _no_look(peer: Peer) -> None: ...


FIRST, AGAIN, CHANGED, KILLED, HOSTILE = "first load", "again", "changed", "killed", "hostile"
HEADINGS = {
    FIRST: "First load",
    AGAIN: "Second run, nothing changed",
    CHANGED: "One in a thousand changed, one in ten thousand deleted",
    KILLED: "kill -9 at half of the first load",
    HOSTILE: "A provider that misbehaves",
}


_REFUSED = {"path": "/v1/*", "probability": 0.03}
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "ties": {"second": 3600},
    "rate_limited": _REFUSED,
    "server_error": _REFUSED,
    "reset": {**_REFUSED, "at": 2000},
    "late_events": {"probability": 0.3, "delay_s": 5},
    "unordered_events": {},
}
"""How the provider misbehaves."""


@dataclass(frozen=True, slots=True)
class Size:
    """Objects of each collection; the seconds that a peer may take for each piece of work, and those in which one that
    follows by itself must have seen every change."""

    each: int
    bound_s: float
    patience_s: float = 15.0

    @property
    def all(self) -> int:
        return self.each * len(COLLECTIONS)


async def judge(peer: Peer) -> Verdict:
    """Compare all of the copy with the provider."""
    found = Verdict()
    for collection in COLLECTIONS:
        columns = await peer.columns(collection)
        there = peer.ground.provider.objects(collection)
        found += await compare(there, peer.rows(collection), columns)
    return found


async def _worked(peer: Peer, size: Size) -> None:
    """Start it and wait until it is done. Raises Failed, also when the time is over."""
    try:
        async with asyncio.timeout(size.bound_s):
            await peer.start()
            await peer.done()
    except TimeoutError:
        await peer.kill()
        raise Failed(f"not done within {size.bound_s:.0f} s") from None


async def _measured(peer: Peer, size: Size, *, of_all: bool) -> dict[str, float]:
    """What one run costs, from its first request on; what it takes to begin stands by itself. A run that reads all is
    told by the record, one that may read less as a whole."""
    asked, began = await peer.ground.provider.requests(), time.perf_counter()
    async with Watch(peer.pids) as watch, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(_first_request(peer, asked))
        try:
            await _worked(peer, size)
        finally:
            first.cancel()
        ended, busy, database = time.perf_counter(), peer.busy_s(), peer.ground.database.busy_s()
    if first.cancelled():
        raise Failed("asked for nothing")
    at, busy_then, database_then = first.result()
    seconds, own, postgres = ended - at, busy - busy_then, database - database_then
    millions = size.all / 1e6
    by_record = {
        "records/s": size.all / seconds,
        "CPU s per million": own / millions,
        "PostgreSQL's CPU s per million": postgres / millions,
    }
    as_a_whole = {"seconds": seconds, "CPU s": own, "PostgreSQL's CPU s": postgres}
    return {
        **(by_record if of_all else as_a_whole),
        "peak MB": watch.most / 1e6,
        "requests": await peer.ground.provider.requests() - asked,
        "seconds to begin": at - began,
    }


async def _first_request(peer: Peer, asked: int) -> tuple[float, float, float]:
    """Wait for it: the moment, and the processor time of the peer and of PostgreSQL until then."""
    while await peer.ground.provider.requests() == asked:
        await asyncio.sleep(0.02)
    return time.perf_counter(), peer.busy_s(), peer.ground.database.busy_s()


async def load_and_change(
    database: Database, make: Make, size: Size, scenarios: set[str], look: Look = _no_look
) -> AsyncIterator[Result]:
    """The first load, a second run over the same, and then changes: on one ground. Gives what is in `scenarios`."""
    async with ground(database, size.each, size.each) as there:
        peer = make(there)
        try:
            for scenario in (FIRST, AGAIN):
                if scenario == FIRST or scenario in scenarios:
                    figures = await _measured(peer, size, of_all=scenario == FIRST)
                    if scenario in scenarios:
                        verdict = str(await judge(peer)) if peer.keeps else ""
                        yield Result(scenario, peer.name, figures, verdict)
            if (scenario := CHANGED) in scenarios:
                yield await _changed(peer, size)
            await look(peer)
        except Failed as error:
            # A load that failed leaves nothing to be looked at in what was to follow it.
            yield Result(scenario if scenario in scenarios else min(scenarios), peer.name, failed=str(error))
        finally:
            await peer.close()


Wanted = dict[str, dict[str, dict[str, Any] | None]]
"""By collection and id: the object as it is now, None when it was deleted."""


async def _changed(peer: Peer, size: Size) -> Result:
    chosen = {collection: await _choose(peer.ground, size, collection) for collection in COLLECTIONS}
    await peer.follow()
    asked = await peer.ground.provider.requests()
    began = time.perf_counter()
    wanted = await _change(peer.ground, chosen)
    if not peer.live:
        await _worked(peer, size)
    right_after = await _until_right(peer, wanted, began, size.patience_s if peer.live else 0.0)
    figures = {"requests": float(await peer.ground.provider.requests() - asked)}
    verdict = await judge(peer)
    if right_after is not None and verdict.right:
        figures = {"seconds until right": right_after, **figures}
    return Result(CHANGED, peer.name, figures, str(verdict))


async def _choose(there: Ground, size: Size, collection: str) -> tuple[list[str], list[str]]:
    """One object in a thousand to change, one in ten thousand to delete, spread over the collection's whole age."""
    nth = size.each // max(1, size.each // 1000)
    changing = [orjson.loads(raw)["id"] async for raw in _every(there, collection, nth)]
    stays = set(changing)
    ids = [held["id"] async for held in _deletable(there, collection) if held["id"] not in stays]
    wanted = max(1, size.each // 10_000)
    every = max(1, len(ids) // wanted)
    return changing, ids[every // 2 :: every][:wanted]


async def _change(there: Ground, chosen: Mapping[str, tuple[list[str], list[str]]]) -> Wanted:
    """Change and delete what was chosen; what each object is to be."""
    wanted: Wanted = {name: {} for name in chosen}
    for collection, (changing, going) in chosen.items():
        for turn, key in enumerate(changing):
            fields = {"metadata": {"changed_by": "bench", "turn": str(turn)}}
            wanted[collection][key] = await there.provider.update(collection, key, fields)
        for key in going:
            await there.provider.delete(collection, key)
            wanted[collection][key] = None
    return wanted


async def _deletable(there: Ground, collection: str) -> AsyncIterator[Mapping[str, Any]]:
    """Stripe deletes no invoices but drafts."""
    async for raw in there.provider.objects(collection):
        held = orjson.loads(raw)
        if collection != "invoices" or held["status"] == "draft":
            yield held


async def _every(there: Ground, collection: str, nth: int) -> Any:
    number = 0
    async for raw in there.provider.objects(collection):
        number += 1
        if number % nth == 0:
            yield raw


async def _until_right(peer: Peer, wanted: Wanted, began: float, patience_s: float) -> float | None:
    """Seconds until each object that changed is right in the copy, None when that does not come about in time."""
    until = time.perf_counter() + patience_s
    while True:
        for collection, objects in wanted.items():
            if objects:
                columns = await peer.columns(collection)
                rows = peer.rows(collection, [*objects])
                held = {object_id: mark(fields, columns) async for object_id, fields in rows}
                for object_id, truth in list(objects.items()):
                    if held.get(object_id) == (None if truth is None else mark(truth, columns)):
                        del objects[object_id]
        if not any(wanted.values()):
            return time.perf_counter() - began
        if time.perf_counter() > until:
            return None
        await asyncio.sleep(0.05)


async def killed(database: Database, make: Make, size: Size, usual: float | None) -> Result:
    """kill -9 when half of the pages of a first load were asked for; then started again, once. `usual` is how many
    requests a first load takes this peer when nobody disturbs it, where that is known."""
    async with ground(database, size.each, size.each) as there:
        peer = make(there)
        pages = sum(-(-size.each // 100) for _ in COLLECTIONS)
        try:
            await peer.start()
            ending = asyncio.create_task(peer.done())
            while await there.provider.requests() < pages // 2 and not ending.done():
                await asyncio.sleep(0.01)
            await peer.kill()
            ending.cancel()
            await asyncio.wait([ending])
            before = await there.provider.requests()
            await _worked(peer, size)
            asked = await there.provider.requests()
            figures = {"requests before": float(before), "requests in all": float(asked)}
            if usual is not None:
                figures["repeated"] = max(0.0, asked - usual)
            return Result(KILLED, peer.name, figures, str(await judge(peer)))
        except Failed as error:
            return Result(KILLED, peer.name, failed=str(error))
        finally:
            await peer.close()


async def hostile(
    database: Database, make: Make, size: Size, look: Look = _no_look, faults: Iterable[str] = tuple(FAULTS)
) -> Result:
    """A first load and a time of changes from a provider that refuses, fails and breaks off some answers, tells events
    late, has many objects in the same second, and lists with more lines than a page shows. Then it rests and behaves,
    and the peer brings over what is left: one that is a command is started until it ends well, three times at most."""
    async with ground(database, size.each, size.each, long=True) as there:
        peer = make(there)
        try:
            for kind in faults:
                await there.provider.misbehave(kind, **FAULTS[kind])
            runs = await _tried(peer, size)
            await peer.follow()
            await there.provider.stir(50.0)
            await asyncio.sleep(3.0)
            if not peer.live:
                runs += await _tried(peer, size)
            await there.provider.stir(0.0)
            await asyncio.sleep(6.0)  # by now the events that were late are in the list
            await there.provider.behave(but="ties")
            if peer.live:
                await _calm(peer, size)
            else:
                runs += await _tried(peer, size)
            figures = {"runs that it took": float(runs), "requests": float(await there.provider.requests())}
            verdict = str(await judge(peer))
            await look(peer)
            return Result(HOSTILE, peer.name, figures, verdict)
        except Failed as error:
            return Result(HOSTILE, peer.name, failed=str(error))
        finally:
            await peer.close()


async def _tried(peer: Peer, size: Size) -> int:
    """Start it until it ends well, as a scheduler would; how often that was. Raises Failed after the third time."""
    for attempt in (1, 2, 3):
        try:
            await _worked(peer, size)
        except Failed:
            if attempt == 3:
                raise
        else:
            return attempt
    raise AssertionError


async def _calm(peer: Peer, size: Size) -> None:
    """Wait until its copy is right, for as long as it may take to see every change."""
    until = time.perf_counter() + size.patience_s
    while not (await judge(peer)).right and time.perf_counter() < until:
        await asyncio.sleep(1.0)
