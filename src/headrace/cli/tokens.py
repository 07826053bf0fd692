"""`headrace tokens`."""

from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.connection import connected, id_of, stream_id
from headrace.cli.fields import given, listed
from headrace.cli.output import AsJson

app = typer.Typer(no_args_is_help=True, help="API tokens of the organisation.")


@app.command("list")
def list_(json: AsJson = False) -> None:
    """The tokens that are not revoked."""
    with connected() as api:
        output.table(api.tokens.list(), ["id", "name", "scopes", "stream_ids", "expires_at", "last_used_at"], json)


@app.command()
def create(
    name: str,
    scope: Annotated[list[str], typer.Option(help="admin, read or consume; repeat for several.")],
    stream: Annotated[list[str] | None, typer.Option(help="For this stream only; repeat for several.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="ISO 8601, such as 2030-01-01T00:00:00Z.")] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="At most so many; no limit by default.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make a token. It is shown here and never again."""
    with connected() as api:
        stream_ids = [stream_id(api, each) for each in stream] if stream else None
        limits = given(expires_at=expires_at, requests_per_minute=requests_per_minute)
        fields = given(scopes=listed(scope), stream_ids=stream_ids, **limits)
        output.one(api.tokens.create(name=name, **fields), json)


@app.command()
def revoke(token: Annotated[str, typer.Argument(metavar="TOKEN", help="Name or id.")], json: AsJson = False) -> None:
    """Make a token worthless, for good."""
    with connected() as api:
        output.one(api.tokens.delete(id_of(api.tokens, token, filtered=False)), json)
