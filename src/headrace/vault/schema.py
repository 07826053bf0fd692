"""JSON Schema, checked, with reasons in plain words.

The words are our own: those of the library repeat the value, which may be a secret.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

Reasons = dict[str, list[str]]

_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def reasons(schema: Mapping[str, Any], value: Mapping[str, Any], prefix: str) -> Reasons:
    """What `value` breaks in `schema`: dotted field names, beginning with `prefix`, to reasons. Empty: it holds.

    A property that the schema does not name is refused, whether or not the schema says so.
    """
    closed = {"additionalProperties": False, **schema, "type": "object"}
    found: Reasons = {}
    for error in Draft202012Validator(closed).iter_errors(value):
        for field, reason in _told(error):
            told = found.setdefault(".".join((prefix, *field)), [])
            if reason not in told:
                told.append(reason)
    return found


def _told(error: ValidationError) -> Iterable[tuple[Sequence[str], str]]:
    place = [str(part) for part in error.absolute_path]
    wanted: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            return [([*place, name], "is required") for name in wanted if name not in value]
        case "additionalProperties":
            known = schema.get("properties", {})
            unknown = [str(name) for name in value if name not in known]
            return [([*place, name], f"is not known here; known are {', '.join(known)}") for name in unknown]
        case "type":
            types = [wanted] if isinstance(wanted, str) else wanted
            return [(place, f"must be {' or '.join(_TYPES.get(name, name) for name in types)}")]
        case "enum":
            return [(place, f"must be one of {', '.join(map(str, wanted))}")]
        case "const":
            return [(place, f"must be {wanted}")]
        case "minLength":
            return [(place, "must not be empty" if wanted == 1 else f"must have at least {wanted} characters")]
        case "maxLength":
            return [(place, f"must have at most {wanted} characters")]
        case "pattern":
            return [(place, f"does not have the form {wanted}")]
        case "minimum":
            return [(place, f"must be at least {wanted}")]
        case "maximum":
            return [(place, f"must be at most {wanted}")]
        case rule:
            return [(place, f"breaks the rule {rule} of its schema")]
