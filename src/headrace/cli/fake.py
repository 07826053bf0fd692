"""`headrace fake`: a provider's server to try things on."""

from typing import Annotated, Literal

import typer

from headrace.cli.process import run


def fake(
    provider: Annotated[str, typer.Argument(help="Which provider's; for a wrong one those that there are are told.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same account.")] = 1,
    records: Annotated[str, typer.Option(help="How many objects in all; or by collection: customers=600,…")] = "1000",
    changes_per_s: Annotated[float, typer.Option(help="How many changes a second it makes by itself.", min=0)] = 0,
    limits: Annotated[Literal["real", "none"], typer.Option(help="The provider's own limits, or none.")] = "real",
    faults: Annotated[
        list[str], typer.Option(help="kind or kind:name=value,…; repeat for several. docs/testing.md lists them.")
    ] = ["none"],  # noqa: B006 - typer copies it
) -> None:
    """Run a server that behaves as the provider's does, and misbehaves on demand, until Ctrl-C."""
    from headrace.testing.command import fake as fake_of
    from headrace.testing.command import serve

    standing = [each for each in faults if each != "none"]
    try:
        run(
            serve(
                fake_of(provider),
                port=port,
                seed=seed,
                records=records,
                changes_per_s=changes_per_s,
                limits=limits,
                faults=standing,
            )
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
