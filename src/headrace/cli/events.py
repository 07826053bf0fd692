"""`headrace events`."""

from itertools import islice
from typing import Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.connection import connected, id_of, stream_id
from headrace.cli.fields import given

app = typer.Typer(no_args_is_help=True, help="Events: what happened to records, for as long as the stream keeps it.")


@app.command("list")
def list_(
    stream: Annotated[str | None, typer.Option(help="Slug or id.")] = None,
    sync: Annotated[str | None, typer.Option(help="Name or id.")] = None,
    collection: Annotated[str | None, typer.Option("--collection", "-c")] = None,
    upstream_id: Annotated[str | None, typer.Option(help="The provider's own id.")] = None,
    after: Annotated[str | None, typer.Option(help="A cursor: begin behind it.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many; 0: all.", min=0)] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON line an event.")] = False,
) -> None:
    """Events that all given filters let through, oldest first. A stream keeps them once its event_days are not 0."""
    with connected() as api:
        filters: dict[str, Any] = given(
            stream_id=stream and stream_id(api, stream),
            sync_id=sync and id_of(api.syncs, sync),
            collection_id=collection,
            upstream_id=upstream_id,
        )
        events = islice(api.events.list(after, limit=min(limit, 1000) or 1000, **filters), limit or None)
        if json:
            for event in events:
                output.json_line(event)
        else:
            columns = ["updated_idx", "event", "collection_id", "upstream_id", "event_inserted_at", "changes"]
            output.table(events, columns, as_json=False)
