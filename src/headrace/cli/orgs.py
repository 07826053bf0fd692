"""`headrace orgs`: for the instance token only."""

import typer

from headrace.cli import output
from headrace.cli.connection import connected
from headrace.cli.output import AsJson

app = typer.Typer(no_args_is_help=True, help="Organisations, kept apart from each other. Needs the instance token.")


@app.command("list")
def list_(json: AsJson = False) -> None:
    """All organisations of the installation."""
    with connected() as api:
        output.table(api.orgs.list(), ["id", "name", "created_at"], json)


@app.command()
def create(name: str, json: AsJson = False) -> None:
    """Make an organisation. Its first admin token is shown here and never again."""
    with connected() as api:
        output.one(api.orgs.create(name=name), json)
