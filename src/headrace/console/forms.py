"""From a posted form to a body of the API."""

from collections.abc import Mapping
from typing import Any

Form = Mapping[str, list[str]]

_NUMBERS = ("max_age_days", "max_poll_ms", "deleted_retention_days")
_NULLABLE = ("max_age_days", "deleted_retention_days", "external_id")


def sync_fields(form: Form) -> dict[str, Any]:
    """What a form about a sync says; a field that it has not is left out, an emptied one is null where it may be."""
    fields: dict[str, Any] = {}
    for name in ("name", "external_id", "sync_frequency", "status", *_NUMBERS):
        if name not in form:
            continue
        text = form[name][0].strip()
        if text:
            fields[name] = number(text) if name in _NUMBERS else text
        elif name in _NULLABLE:
            fields[name] = None
    if "allowed_requests" in form:
        fields["rate_limit"] = _rate_limit(form)
    if "has_collections" in form:
        fields["collection_ids"] = form.get("collection_id", [])
    return fields


def sync_changes(form: Form, sync: Mapping[str, Any]) -> dict[str, Any]:
    """Of that, what differs from the sync as it is."""
    return {
        name: value
        for name, value in sync_fields(form).items()
        if not _same(value, sync.get(name)) and not (name == "rate_limit" and value is None and not sync.get(name))
    }


def number(text: str) -> Any:
    """A number as it was written; what is none goes to the API as it is, which says so."""
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and "." not in text else value


def plain_fields(form: Form) -> list[tuple[str, str]]:
    """The form's fields, to be sent once more."""
    return [(name, value) for name, values in form.items() if name != "csrf" for value in values]


def properties(form: Form, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a credential kind, from fields named `p.NAME`, each as its schema has it."""
    found: dict[str, Any] = {}
    for name, about in schema.get("properties", {}).items():
        text = form.get(f"p.{name}", [""])[0].strip()
        types = about.get("type", "string")
        if types == "boolean":
            if f"p.{name}" in form:
                found[name] = text in ("on", "true")
        elif not text:
            continue
        elif types == "array":
            found[name] = [part for part in text.replace(",", " ").split() if part]
        elif types in ("integer", "number"):
            found[name] = number(text)
        else:
            found[name] = text
    return found


def _rate_limit(form: Form) -> dict[str, Any] | None:
    """None, the provider's default, when neither number is given."""
    given = {
        name: form.get(name, [""])[0].strip() for name in ("allowed_requests", "interval", "max_concurrent_requests")
    }
    if not given["allowed_requests"] and not given["interval"]:
        return None
    return {name: number(text) for name, text in given.items() if text}


def _same(value: Any, held: Any) -> bool:
    if isinstance(value, list) and isinstance(held, list):
        return sorted(value) == sorted(held)
    if isinstance(value, dict) and isinstance(held, dict):
        return {"max_concurrent_requests": 0, **value} == {"max_concurrent_requests": 0, **held}
    return bool(value == held)
