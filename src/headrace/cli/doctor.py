"""`headrace doctor`: what is wrong, and what to do about it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from headrace.cli import output
from headrace.cli.process import DataDir, run, settings_from

if TYPE_CHECKING:
    from headrace.engine.after_restore import Restored
    from headrace.settings import Settings

_MARKS = {"ok": "[green]ok[/green]  ", "warn": "[yellow]warn[/yellow]", "bad": "[red]bad[/red] "}


def doctor(
    data_dir: DataDir = None,
    after_restore_: Annotated[
        bool,
        typer.Option(
            "--after-restore",
            help="The database was restored from a backup: move every counter past what was given out since, void ack "
            "tokens and leases, and read everything again. With no `headrace serve` running.",
        ),
    ] = False,
    json: output.AsJson = False,
) -> None:
    """Look at everything that Headrace stands on and say what is wrong. Exit code 1 when something is."""
    from headrace.cli.examination import examine

    settings = settings_from(data_dir=data_dir)
    if after_restore_:
        done = run(_after_restore(settings))
        print(f"{done.streams} counters moved, {done.consumers} consumers' tokens void, {done.sweeps} sweeps due now.")
        return
    findings = run(examine(settings))
    if json:
        output.json_lines_as_array(asdict(each) for each in findings)
    else:
        console = Console(highlight=False, soft_wrap=True)
        for each in findings:
            console.print(f"{_MARKS[each.verdict]}  {each.what}: {escape(each.found)}")
            if each.verdict != "ok" and each.advice:
                console.print(f"      {escape(each.advice)}")
    if any(each.verdict == "bad" for each in findings):
        raise typer.Exit(1)


async def _after_restore(settings: "Settings") -> "Restored":
    from headrace.cli.database import connection
    from headrace.clock import DatabaseClock
    from headrace.engine.after_restore import after_restore as make_safe

    async with connection(settings) as conn:
        return await make_safe(conn, DatabaseClock())
