"""Options that become fields of a request."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.jsontext import NotJson, NotStorable, loads

Metadata = Annotated[str | None, typer.Option(help="A JSON object; replaces the one that is there.", metavar="JSON")]
Filter = Annotated[
    str | None, typer.Option("--metadata", help="Only those whose metadata contain this.", metavar="JSON")
]


def given(**fields: Any) -> dict[str, Any]:
    """The fields that were given on the command line. `null`, as text, is JSON's null."""
    return {name: None if value == "null" else value for name, value in fields.items() if value is not None}


def as_json(text: str | None, option: str) -> Any:
    """The value of an option that is JSON, or None when it was not given."""
    if text is None:
        return None
    try:
        return loads(text)
    except (NotJson, NotStorable) as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint=option) from None


def listed(values: Sequence[str] | None) -> list[str] | None:
    """Values given by repeating an option, or with commas."""
    if not values:
        return None
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def properties(pairs: Sequence[str], secrets: Sequence[str]) -> dict[str, Any]:
    """A credential's properties: `name=value` pairs, and secret ones by where they are to be had.

    A secret never stands on the command line, which every user of the machine can read: `name` alone asks for it,
    `name=@FILE` reads a file, `name=$VARIABLE` the environment.
    """
    made: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--property")
        made[name] = _scalar(value)
    for secret in secrets:
        name, _, source = secret.partition("=")
        made[name] = _secret(name, source)
    return made


def rate_limit(text: str | None) -> Any:
    """`100/60` is 100 requests in 60 seconds, `100/60/4` with 4 at once at most; `default` is the provider's."""
    if text is None or text == "default":
        return "null" if text else None
    try:
        allowed, interval, *concurrent = (int(part) for part in text.split("/"))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not REQUESTS/SECONDS, such as 100/60, or `default`", param_hint="--rate-limit"
        ) from None
    return {
        "allowed_requests": allowed,
        "interval": interval,
        "max_concurrent_requests": concurrent[0] if concurrent else 0,
    }


def number(text: str | None, option: str) -> Any:
    """A number, or `null`."""
    if text is None or text == "null":
        return text
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number or null", param_hint=option) from None


def _scalar(value: str) -> Any:
    """true, false and numbers as such; all else is text."""
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, bool | int | list) else value


def _secret(name: str, source: str) -> str:
    if source.startswith("@"):
        return Path(source[1:]).read_text().strip()
    if source.startswith("$"):
        value = os.environ.get(source[1:])
        if not value:
            raise typer.BadParameter(f"{source[1:]} is not set in the environment", param_hint="--secret")
        return value
    if source:
        raise typer.BadParameter(
            f"give {name} as @FILE or $VARIABLE, or without a value to be asked for it: others can read command lines",
            param_hint="--secret",
        )
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True))
    return sys.stdin.readline().strip()
