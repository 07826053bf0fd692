"""`headrace providers`."""

import typer

from headrace.cli import output
from headrace.cli.connection import connected
from headrace.cli.output import AsJson

app = typer.Typer(no_args_is_help=True, help="Providers: what Headrace can read.")


@app.command("list")
def list_(json: AsJson = False) -> None:
    """The providers that there are."""
    with connected() as api:
        output.table(api.providers.list(), ["slug", "name"], json)


@app.command()
def get(slug: str, json: AsJson = False) -> None:
    """One provider: credential kinds, collections, default rate limit."""
    with connected() as api:
        output.one(api.providers.get(slug), json)
