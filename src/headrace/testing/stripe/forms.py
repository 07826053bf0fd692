"""Form-encoded bodies, as Stripe reads them: `metadata[plan]=pro`, `items[0][price]=…`, `expand[]=…`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.testing.stripe import answers

_KEY = re.compile(r"\[([^\]]*)\]")
_INTEGERS = {
    "amount",
    "amount_off",
    "balance",
    "cancel_at",
    "days_until_due",
    "due_date",
    "duration_in_months",
    "expires_at",
    "max_redemptions",
    "quantity",
    "redeem_by",
    "trial_end",
    "unit_amount",
}
_EXTRA = ["expand", "items", "lines", "price", "customer", "payment_method", "confirm"]


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The pairs as hashes and lists; a hash whose keys are all numbers, or empty, is a list."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        first, bracket, _ = name.partition("[")
        keys = [first, *(_KEY.findall(name[len(first) :]) if bracket else ())]
        at = root
        for key in keys[:-1]:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                raise answers.StripeError(400, f"Invalid parameter: {name}", param=first)
        last = keys[-1]
        at[last if last else str(len(at))] = value
    return {name: _listed(value) for name, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    made = {key: _listed(inner) for key, inner in value.items()}
    return list(made.values()) if made and all(key.isdigit() for key in made) else made


def typed(values: Mapping[str, Any], like: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    """The values in the types that the object's fields have; an empty string unsets. Raises StripeError for a field
    that the object does not have."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        if not inside and name not in like and name not in _EXTRA:
            raise answers.unknown_parameter(name)
        made[name] = _typed(value, like.get(name), name, inside or name)
    return made


def _typed(value: Any, old: Any, name: str, inside: str) -> Any:
    if isinstance(value, dict):
        return typed(value, old if isinstance(old, Mapping) else {}, inside)
    if not isinstance(value, str):
        return value
    if value == "" and inside != name:
        return None
    if inside == "metadata":
        return value
    if isinstance(old, bool):
        return value == "true"
    if isinstance(old, int) or (old is None and name in _INTEGERS):
        return _number(value, name)
    if isinstance(old, float) or name == "percent_off":
        return float(value)
    return None if value == "" else value


def _number(value: str, name: str) -> int | None:
    if value == "":
        return None
    try:
        return int(value)
    except ValueError:
        raise answers.StripeError(
            400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name
        ) from None
