"""`headrace fake`: a provider's server to try things on."""

import asyncio
import signal
from typing import Annotated, Literal

import typer

from headrace.cli.process import run
from headrace.testing.faults import Fault


def fake(
    provider: Annotated[Literal["stripe"], typer.Argument(help="Which provider's.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same account.")] = 1,
    records: Annotated[int, typer.Option(help="How many objects, over all collections.", min=0)] = 1000,
    changes_per_s: Annotated[float, typer.Option(help="How many changes a second it makes by itself.", min=0)] = 0,
    limits: Annotated[Literal["real", "none"], typer.Option(help="The provider's own limits, or none.")] = "real",
    faults: Annotated[
        list[str], typer.Option(help="kind or kind:name=value,…; repeat for several. docs/testing.md lists them.")
    ] = ["none"],  # noqa: B006 - typer copies it
) -> None:
    """Run a server that behaves as the provider's does, and misbehaves on demand, until Ctrl-C."""
    try:
        standing = [Fault.parse(each) for each in faults if each != "none"]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from None
    run(_stripe(port, seed, records, changes_per_s, limits, standing))


async def _stripe(
    port: int, seed: int, records: int, changes_per_s: float, limits: Literal["real", "none"], faults: list[Fault]
) -> None:
    from headrace.testing.stripe import StripeServer

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = StripeServer(
        port=port, seed=seed, records=records, changes_per_s=changes_per_s, limits=limits, faults=faults
    )
    async with server:
        print(f"stripe is served on {server.base_url}; every key that begins with sk_ or rk_ opens it", flush=True)
        await stopped.wait()
