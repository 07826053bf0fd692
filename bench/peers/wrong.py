"""What is wrong in a copy, object by object: the fields that differ, and the events that the provider tells of it.

python -m bench.peers.wrong PEER [--scenario changed|hostile] [--records 500] [--most 20] [--without FAULT …]
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import orjson

from bench.peers.comparison import PEERS
from bench.peers.environments import ENVIRONMENTS
from bench.peers.ground import database
from bench.peers.peer import Command, Peer
from bench.peers.provider import COLLECTIONS, Provider
from bench.peers.scenarios import CHANGED, FAULTS, HOSTILE, Size, hostile, load_and_change


async def told(peer: Peer, most: int) -> AsyncIterator[str]:
    """A line for each object that is wrong, at most so many, and at the end one with the causes counted."""
    provider = peer.ground.provider
    events = await _events(provider)
    causes: Counter[str] = Counter()
    for collection in COLLECTIONS:
        columns = await peer.columns(collection)
        there = {held["id"]: held async for held in _objects(provider, collection)}
        here: dict[str, Mapping[str, Any]] = {}
        async for object_id, fields in peer.rows(collection):
            causes[f"{collection}, there twice"] += object_id in here
            here[object_id] = fields
        for object_id in there.keys() | here.keys():
            what = difference(there.get(object_id), here.get(object_id), columns)
            if what is None:
                continue
            causes[f"{collection}, {what}"] += 1
            if (most := most - 1) >= 0:
                yield f"{collection} {object_id}: {what}; events: {', '.join(events.get(object_id, ['none']))}"
    yield "; ".join(f"{count} × {cause}" for cause, count in causes.most_common() if count) or "nothing is wrong"


def difference(
    truth: Mapping[str, Any] | None, copy: Mapping[str, Any] | None, columns: Collection[str] | None
) -> str | None:
    """What is wrong with the copy of an object, in words; None: nothing. With `columns` only these fields count, and
    null is as good as absent."""
    if copy is None:
        return "missing"
    if truth is None:
        return "no longer there"
    names = [name for name in truth.keys() | copy.keys() if columns is None or name in columns]
    differ = sorted(name for name in names if truth.get(name) != copy.get(name))
    if not differ:
        return None
    short = [f"{name} ({_length(copy.get(name))} of {_length(truth.get(name))})" for name in differ if name == "lines"]
    return "differs in " + ", ".join([*short, *(name for name in differ if name != "lines")])


def _length(lines: Any) -> str:
    """How many lines of an invoice are there: of more than ten, ten are as good as any."""
    held = len(lines["data"]) if lines else 0
    return "10" if held == 10 else "more" if held > 10 else "fewer"


async def _objects(provider: Provider, collection: str) -> AsyncIterator[dict[str, Any]]:
    async for raw in provider.objects(collection):
        yield orjson.loads(raw)


async def _events(provider: Provider) -> dict[str, list[str]]:
    """By object: type and second of each event, oldest first, counted from the oldest that there is."""
    found: dict[str, list[str]] = {}
    listed = [event async for event in provider.events()]
    first = listed[-1]["created"] if listed else 0
    for event in reversed(listed):
        said = f"{event['type']} at {event['created'] - first}"
        found.setdefault(event["data"]["object"].get("id", ""), []).append(said)
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.wrong", description=__doc__)
    parser.add_argument("peer", choices=[peer.name for peer in PEERS if peer.keeps])
    parser.add_argument("--scenario", choices=[CHANGED, HOSTILE], default=HOSTILE)
    parser.add_argument("--records", type=int, default=500, help="objects of each collection")
    parser.add_argument("--most", type=int, default=20, help="lines to print")
    parser.add_argument("--without", nargs="+", choices=list(FAULTS), default=[], help="faults that are left out")
    chosen = parser.parse_args()
    kind = next(peer for peer in PEERS if peer.name == chosen.peer)
    if issubclass(kind, Command):
        ENVIRONMENTS[kind.environment].make()

    size = Size(chosen.records, 120.0)

    async def look(peer: Peer) -> None:
        async for line in told(peer, chosen.most):
            print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="headrace-peers-") as folder:
        async with database(Path(folder)) as shared:
            if chosen.scenario == HOSTILE:
                print(await hostile(shared, kind, size, look, [name for name in FAULTS if name not in chosen.without]))
            else:
                async for result in load_and_change(shared, kind, size, {CHANGED}, look):
                    print(result)


if __name__ == "__main__":
    asyncio.run(main())
