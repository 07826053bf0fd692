"""`headrace streams`."""

from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.connection import connected, stream_id
from headrace.cli.fields import given
from headrace.cli.output import AsJson, DryRun

app = typer.Typer(no_args_is_help=True, help="Streams: what syncs write to and consumers read from.")

Name = Annotated[str, typer.Argument(metavar="STREAM", help="Slug or id.")]
EventDays = Annotated[int | None, typer.Option(help="How many days events are kept; 0: none are.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All streams."""
    with connected() as api:
        output.table(api.streams.list(), ["id", "slug", "event_days", "created_at"], as_json)


@app.command()
def get(stream: Name, as_json: AsJson = False) -> None:
    """One stream."""
    with connected() as api:
        output.one(api.streams.get(stream_id(api, stream)), as_json)


@app.command()
def create(slug: str, event_days: EventDays = None, as_json: AsJson = False) -> None:
    """Make a stream. The slug has 1 to 63 of a-z, 0-9, _ and -."""
    with connected() as api:
        output.one(api.streams.create(slug=slug, **given(event_days=event_days)), as_json)


@app.command()
def update(
    stream: Name,
    slug: Annotated[str | None, typer.Option()] = None,
    event_days: EventDays = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given."""
    with connected() as api:
        output.one(api.streams.update(stream_id(api, stream), **given(slug=slug, event_days=event_days)), as_json)


@app.command()
def delete(stream: Name, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Delete a stream that has no syncs and no consumers left."""
    with connected() as api:
        found = stream_id(api, stream)
        if dry_run:
            output.plan(api.streams.plan_delete(found), as_json)
        else:
            output.one(api.streams.delete(found), as_json)
