"""The commands, put together."""

import typer

from headrace import __version__
from headrace.cli import (
    collections,
    consumers,
    credentials,
    events,
    keys,
    oauth_apps,
    orgs,
    providers,
    records,
    streams,
    syncs,
    tokens,
)
from headrace.cli.consume import consume
from headrace.cli.demo import demo
from headrace.cli.doctor import doctor
from headrace.cli.fake import fake
from headrace.cli.migrate import migrate
from headrace.cli.serve import serve

# No local variables in tracebacks: they hold secrets.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_show_locals=False,
    help="A complete, ordered, durable copy of what SaaS APIs hold, as a stream you consume with acks.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"headrace {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Commands that speak to the API take its address from HEADRACE_URL and the token from HEADRACE_API_TOKEN."""


for command in (serve, demo, consume, doctor, migrate, fake):
    app.command()(command)
for name, noun in {
    "streams": streams,
    "syncs": syncs,
    "credentials": credentials,
    "consumers": consumers,
    "collections": collections,
    "records": records,
    "events": events,
    "providers": providers,
    "tokens": tokens,
    "oauth-apps": oauth_apps,
    "orgs": orgs,
    "keys": keys,
}.items():
    app.add_typer(noun.app, name=name)
