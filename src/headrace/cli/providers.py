"""`headrace providers`."""

from collections.abc import Mapping
from typing import Any

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
        found: dict[str, Any] = {**api.providers.get(slug)}
    if json:
        output.one(found, json)
        return
    kinds, collections = found.pop("kinds"), found.pop("collections")
    output.one(found, json)
    output.table([_kind(kind) for kind in kinds], ["kind", "secret", "other properties"], json, "No kinds.")
    output.table(collections, ["id", "incremental", "deletes", "webhooks", "write"], json, "No collections of its own.")


def _kind(kind: Mapping[str, Any]) -> dict[str, Any]:
    """Its properties by name; those that must be given are marked."""
    schema, secret = kind["schema"], set(kind["secret"])
    required = set(schema.get("required", ()))
    named = {name: f"{name}*" if name in required else name for name in schema.get("properties", {}) if name != "kind"}
    return {
        "kind": kind["kind"],
        "secret": [shown for name, shown in named.items() if name in secret],
        "other properties": [shown for name, shown in named.items() if name not in secret],
    }
