"""`headrace credentials`."""

from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.connection import connected, credential_id, oauth_app_id
from headrace.cli.fields import Filter, Metadata, as_json, given, properties
from headrace.cli.output import AsJson

app = typer.Typer(no_args_is_help=True, help="Credentials: what opens a provider's account. Secrets are never shown.")

Name = Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Name or id.")]
Properties = Annotated[list[str], typer.Option("--property", help="NAME=VALUE; repeat for several.")]
Secrets = Annotated[list[str], typer.Option("--secret", help="NAME (asks for it), NAME=@FILE or NAME=$VARIABLE.")]


@app.command("list")
def list_(
    provider: Annotated[str | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option()] = None,
    metadata: Filter = None,
    json: AsJson = False,
) -> None:
    """The credentials that all given filters let through."""
    with connected() as api:
        found = api.credentials.list(**given(provider=provider, kind=kind, metadata=metadata))
        output.table(found, ["id", "name", "provider", "kind", "health.status", "created_at"], json)


@app.command()
def get(credential: Name, json: AsJson = False) -> None:
    """One credential, secrets masked."""
    with connected() as api:
        output.one(api.credentials.get(credential_id(api, credential)), json)


@app.command()
def create(
    kind: Annotated[str, typer.Argument(help="Such as stripe_key; `headrace providers get NAME` lists them.")],
    property_: Properties = [],  # noqa: B006 - typer copies it
    secret: Secrets = [],  # noqa: B006
    name: Annotated[str | None, typer.Option()] = None,
    oauth_app: Annotated[str | None, typer.Option(help="Name or id of the app through which it is refreshed.")] = None,
    metadata: Metadata = None,
    json: AsJson = False,
) -> None:
    """Import a credential; the same account again updates the one there is. The secret is tried before it is kept."""
    body = {"properties": {"kind": kind, **properties(property_, secret)}}
    with connected() as api:
        app_id = None if oauth_app is None else oauth_app_id(api, oauth_app)
        fields = given(name=name, oauth_app_id=app_id, metadata=as_json(metadata, "--metadata"))
        output.one(api.credentials.create(**body, **fields), json)


@app.command()
def update(
    credential: Name,
    name: Annotated[str | None, typer.Option()] = None,
    property_: Properties = [],  # noqa: B006
    secret: Secrets = [],  # noqa: B006
    metadata: Metadata = None,
    json: AsJson = False,
) -> None:
    """Change what is given; new properties re-authorise the same account."""
    fields = given(name=name, metadata=as_json(metadata, "--metadata"))
    if changed := properties(property_, secret):
        fields["properties"] = changed
    with connected() as api:
        output.one(api.credentials.update(credential_id(api, credential), **fields), json)


@app.command()
def delete(credential: Name, json: AsJson = False) -> None:
    """Delete a credential that no sync uses."""
    with connected() as api:
        output.one(api.credentials.delete(credential_id(api, credential)), json)
