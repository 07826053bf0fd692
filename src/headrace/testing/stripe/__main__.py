"""`python -m headrace.testing.stripe --port 8080 --records 100000`: the server as a process of its own."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import uvloop

from headrace.testing.faults import Fault
from headrace.testing.stripe.population import parse_records
from headrace.testing.stripe.server import StripeServer


def parser() -> argparse.ArgumentParser:
    """The options; `headrace fake stripe` has the same."""
    made = argparse.ArgumentParser(prog="headrace.testing.stripe", description="Stripe's API on loopback.")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    made.add_argument("--seed", type=int, default=1, help="the same seed gives the same objects")
    made.add_argument(
        "--records", default="1000", help="objects in all, over all collections; or by collection: customers=600,…"
    )
    made.add_argument("--changes-per-s", type=float, default=0.0, help="how lively the account is")
    made.add_argument("--limits", choices=("real", "none"), default="real", help="Stripe's own, or none")
    made.add_argument(
        "--faults",
        action="append",
        default=[],
        metavar="KIND[:NAME=VALUE,…]",
        help="a fault that stands from the start, e.g. slow:probability=0.1,delay_s=2; may be given several times",
    )
    return made


async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 1,
    records: str = "1000",
    changes_per_s: float = 0.0,
    limits: str = "real",
    faults: Sequence[str] = (),
) -> None:
    """Serve until SIGINT or SIGTERM. Prints the address once it listens. Raises ValueError for a fault that is none,
    OSError when the port is taken."""
    server = StripeServer(
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
        print(f"stripe is served on {server.base_url}; every key that begins with sk_ or rk_ opens it", flush=True)
        await ended.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    options = vars(parser().parse_args(arguments))
    try:
        with suppress(KeyboardInterrupt):
            uvloop.run(serve(**options))
    except (ValueError, OSError) as error:
        print(f"cannot serve: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
