"""The JSON Schemas of credentials' properties, written short."""

from typing import Any

_BASE_URL = {"type": "string", "format": "uri", "title": "Another host, in development"}


def properties(required: list[str], **named: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with these properties and no others; each kind may carry a development `base_url`."""
    return {
        "type": "object",
        "properties": {"base_url": _BASE_URL, **named} if "base_url" in named else {**named, "base_url": _BASE_URL},
        "required": required,
        "additionalProperties": False,
    }


def text(title: str, description: str = "", *, pattern: str | None = None) -> dict[str, Any]:
    """A string that is not empty."""
    schema: dict[str, Any] = {"type": "string", "title": title, "minLength": 1, "maxLength": 16384}
    if description:
        schema["description"] = description
    if pattern is not None:
        schema["pattern"] = pattern
    return schema


def texts(title: str, description: str = "") -> dict[str, Any]:
    """A list of strings."""
    schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "title": title}
    return {**schema, "description": description} if description else schema


REFRESH_TOKEN = text("Refresh token", "With it access tokens are made. Some providers spend it each time.")
