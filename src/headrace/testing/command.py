"""A provider server as a process of its own: `headrace fake NAME`, or `python -m headrace.testing.NAME`.

A package of `headrace.testing` that can be run is a provider server, and says in `FAKE` how one is made.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import uvloop

import headrace.testing
from headrace.testing.faults import Fault
from headrace.testing.provider import ProviderServer


@dataclass(frozen=True, slots=True)
class Fake:
    """How a provider's server is made from the command line.

    `make` takes the number of records (in all, or of each collection) and `host`, `port`, `seed`, `changes_per_s`,
    `limits` and `faults`; it raises ValueError for what it cannot make. `opened_by` says which credentials it takes.
    """

    name: str
    make: Callable[..., ProviderServer]
    opened_by: str


def names() -> list[str]:
    """The providers that have a server: the packages that can be run."""
    return sorted(found.parent.name for home in headrace.testing.__path__ for found in Path(home).glob("*/__main__.py"))


def fake(name: str) -> Fake:
    """The server of this provider. Raises ValueError when it has none."""
    if name not in names():
        raise ValueError(f"there is no server of {name!r}; there are {', '.join(names())}")
    found: Fake = import_module(f"headrace.testing.{name}").FAKE
    return found


def parse_records(text: str) -> int | dict[str, int]:
    """How many records: `1000` in all, or by collection, `customers=600,invoices=400`. Raises ValueError."""
    if text.isascii() and text.isdigit():
        return int(text)
    counts: dict[str, int] = {}
    for part in text.split(","):
        name, _, count = part.partition("=")
        if not (count.isascii() and count.isdigit()):
            raise ValueError(f"records: give a number, or name=number,…; {part!r} is neither")
        counts[name.strip()] = int(count)
    return counts


async def serve(
    made: Fake,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 1,
    records: str = "1000",
    changes_per_s: float = 0.0,
    limits: str = "real",
    faults: Sequence[str] = (),
) -> None:
    """Serve until SIGINT or SIGTERM. Prints the address once it listens. Raises ValueError for a fault or a count of
    records that is none, OSError when the port is taken."""
    server = made.make(
        parse_records(records),
        host=host,
        port=port,
        seed=seed,
        changes_per_s=changes_per_s,
        limits="real" if limits == "real" else "none",
        faults=[Fault.parse(text) for text in faults],
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with server:
        print(f"{made.name} is served on {server.base_url}; {made.opened_by}", flush=True)
        await ended.wait()


def parser(name: str) -> argparse.ArgumentParser:
    """The options; `headrace fake` has the same."""
    made = argparse.ArgumentParser(prog=f"headrace.testing.{name}", description=f"The API of {name} on loopback.")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    made.add_argument("--seed", type=int, default=1, help="the same seed gives the same records")
    made.add_argument(
        "--records", default="1000", help="how many in all, over all collections; or by collection: customers=600,…"
    )
    made.add_argument("--changes-per-s", type=float, default=0.0, help="how lively the account is")
    made.add_argument("--limits", choices=("real", "none"), default="real", help="the provider's own, or none")
    made.add_argument(
        "--faults",
        action="append",
        default=[],
        metavar="KIND[:NAME=VALUE,…]",
        help="a fault that stands from the start, e.g. slow:probability=0.1,delay_s=2; may be given several times",
    )
    return made


def main(name: str, arguments: Sequence[str] | None = None) -> int:
    options: dict[str, Any] = vars(parser(name).parse_args(arguments))
    try:
        with suppress(KeyboardInterrupt):
            uvloop.run(serve(fake(name), **options))
    except (ValueError, OSError) as error:
        print(f"cannot serve: {error}", file=sys.stderr)
        return 1
    return 0
