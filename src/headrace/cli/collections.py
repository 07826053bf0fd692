"""`headrace collections`."""

from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.connection import connected, credential_id
from headrace.cli.output import AsJson

app = typer.Typer(no_args_is_help=True, help="Collections: what an account holds, and the shape of its records.")

Credential = Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Name or id.")]


@app.command("list")
def list_(credential: Credential, json: AsJson = False) -> None:
    """The collections of an account."""
    with connected() as api:
        found = api.collections.list(credential_id(api, credential))
        output.table(found, ["id", "name", "upstream_id"], json)


@app.command()
def get(credential: Credential, collection_id: str, json: AsJson = False) -> None:
    """One collection and its fields; with --json its schema too."""
    with connected() as api:
        collection = api.collections.get(credential_id(api, credential), collection_id)
        if json:
            output.json_line(collection)
        else:
            output.table(collection["fields"], ["name", "type", "accessor", "primary_key"], as_json=False)


@app.command()
def refresh(credential: Credential, json: AsJson = False) -> None:
    """Look anew which collections the account has."""
    with connected() as api:
        output.one(api.collections.refresh(credential_id(api, credential)), json)
