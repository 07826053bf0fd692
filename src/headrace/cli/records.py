"""`headrace records`."""

from itertools import islice
from typing import Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.connection import connected, id_of, stream_id
from headrace.cli.fields import given
from headrace.cli.output import AsJson

app = typer.Typer(no_args_is_help=True, help="Records: the copy itself, oldest change first.")


@app.command("list")
def list_(
    stream: Annotated[str | None, typer.Option(help="Slug or id.")] = None,
    sync: Annotated[str | None, typer.Option(help="Name or id.")] = None,
    collection: Annotated[str | None, typer.Option("--collection", "-c")] = None,
    upstream_id: Annotated[str | None, typer.Option(help="The provider's own id.")] = None,
    deleted: Annotated[bool | None, typer.Option("--deleted/--not-deleted")] = None,
    after: Annotated[str | None, typer.Option(help="A cursor: begin behind it.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many; 0: all.", min=0)] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON line a record.")] = False,
) -> None:
    """Records that all given filters let through."""
    with connected() as api:
        filters: dict[str, Any] = given(
            stream_id=stream and stream_id(api, stream),
            sync_id=sync and id_of(api.syncs, sync),
            collection_id=collection,
            upstream_id=upstream_id,
            deleted=deleted,
        )
        records = islice(api.records.list(after, limit=min(limit, 1000) or 1000, **filters), limit or None)
        if json:
            for record in records:
                output.json_line(record)
        else:
            columns = ["updated_idx", "collection_id", "upstream_id", "deleted", "upstream_updated_at", "id"]
            output.table(records, columns, as_json=False)


@app.command()
def get(record_id: str, json: AsJson = False) -> None:
    """One record, whole."""
    with connected() as api:
        output.one(api.records.get(record_id), json)
