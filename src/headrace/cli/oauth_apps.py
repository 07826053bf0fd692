"""`headrace oauth-apps`."""

from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.connection import connected, oauth_app_id
from headrace.cli.fields import Filter, Metadata, as_json, given, properties
from headrace.cli.output import AsJson

app = typer.Typer(no_args_is_help=True, help="Your own apps at providers. Their secrets are never shown.")

Name = Annotated[str, typer.Argument(metavar="APP", help="Name or id.")]
Secrets = Annotated[
    list[str],
    typer.Option("--secret", help="client_secret or private_key (asks for it), NAME=@FILE or NAME=$VARIABLE."),
]
Redirects = Annotated[list[str], typer.Option("--redirect-uri", help="Where people may be sent back to; repeat.")]


@app.command("list")
def list_(
    provider: Annotated[str | None, typer.Option()] = None, metadata: Filter = None, json: AsJson = False
) -> None:
    """The apps that all given filters let through."""
    with connected() as api:
        found = api.oauth_apps.list(**given(provider=provider, metadata=metadata))
        output.table(found, ["id", "name", "provider", "client_id", "health.status", "created_at"], json)


@app.command()
def get(oauth_app: Name, json: AsJson = False) -> None:
    """One app, secrets masked."""
    with connected() as api:
        output.one(api.oauth_apps.get(oauth_app_id(api, oauth_app)), json)


@app.command()
def create(
    name: str,
    provider: Annotated[str, typer.Option(help="Such as airtable.")],
    client_id: Annotated[str, typer.Option()],
    secret: Secrets = ["client_secret"],  # noqa: B006 - typer copies it
    redirect_uri: Redirects = [],  # noqa: B006
    app_id: Annotated[str | None, typer.Option(help="Of a GitHub App.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where the provider is, in development.")] = None,
    metadata: Metadata = None,
    json: AsJson = False,
) -> None:
    """Register an app."""
    fields = given(app_id=app_id, base_url=base_url, metadata=as_json(metadata, "--metadata"))
    body = {**properties((), secret), **fields, "redirect_uris": redirect_uri}
    with connected() as api:
        output.one(api.oauth_apps.create(name=name, provider=provider, client_id=client_id, **body), json)


@app.command()
def update(
    oauth_app: Name,
    name: Annotated[str | None, typer.Option()] = None,
    secret: Secrets = [],  # noqa: B006
    redirect_uri: Redirects = [],  # noqa: B006
    metadata: Metadata = None,
    json: AsJson = False,
) -> None:
    """Change what is given; redirect URIs are replaced together."""
    fields = {**properties((), secret), **given(name=name, metadata=as_json(metadata, "--metadata"))}
    if redirect_uri:
        fields["redirect_uris"] = redirect_uri
    with connected() as api:
        output.one(api.oauth_apps.update(oauth_app_id(api, oauth_app), **fields), json)


@app.command()
def delete(oauth_app: Name, json: AsJson = False) -> None:
    """Delete an app that no credential uses."""
    with connected() as api:
        output.one(api.oauth_apps.delete(oauth_app_id(api, oauth_app)), json)
