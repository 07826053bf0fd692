"""`headrace demo`: everything at once, to look at and to try things on."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.process import run


def demo(
    records: Annotated[int, typer.Option(help="How many objects the provider holds.", min=1)] = 5000,
    changes_per_s: Annotated[float, typer.Option(help="How many of them change each second.", min=0)] = 20,
    data_dir: Annotated[Path, typer.Option(help="Emptied before and after.")] = Path(".demo"),
    port: Annotated[int | None, typer.Option(help="Default: 7370, or a free one when it is taken.")] = None,
    changes: Annotated[int | None, typer.Option(help="End after so many changes were shown.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="End after this; default: with Ctrl-C.")] = None,
) -> None:
    """Show Headrace at work: a Stripe account that keeps changing, a sync of it, a consumer that prints each change.

    Exit code 0 when the whole account arrived and, with --changes-per-s, changes did; else 1.
    """
    from headrace import log
    from headrace.cli.demo_screen import Screen
    from headrace.cli.demonstration import show

    log.configure("text", "warning")
    screen = Screen()
    try:
        run(show(screen, records, changes_per_s, data_dir, port, seconds, changes))
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)
    if not screen.summary(changes_per_s > 0):
        raise typer.Exit(1)
