"""The kinds of field that several objects share."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from headrace import jsontext
from headrace.ids import parse_uuid
from headrace.jsontext import Digits

MOST_METADATA = 16 * 1024


def wrong(reason: str) -> PydanticCustomError:
    """The error of a field for this reason; `reason` goes on the sentence that the field's name begins."""
    return PydanticCustomError("headrace", "{reason}", {"reason": reason})


def _id(value: object) -> UUID:
    id_ = parse_uuid(value) if isinstance(value, str) else None
    if id_ is None:
        raise wrong("must be an id (a UUID in a string)")
    return id_


def _metadata(value: object) -> str:
    if not isinstance(value, dict):
        raise wrong("must be an object")
    text = jsontext.dumps(value)
    if len(text) > MOST_METADATA:
        raise wrong(f"must have at most {MOST_METADATA} bytes as JSON; it has {len(text)}")
    return text.decode()


def _integer(value: object) -> object:
    """1.0 is an integer in JSON, which knows one kind of number."""
    if not isinstance(value, Digits):
        return value
    if abs(value) >= 2**53:
        raise wrong("is too large a number")
    return int(value) if value.is_integer() else value


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise wrong("must be a time in ISO 8601 with its zone, as 2026-01-31T12:00:00Z")


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise wrong("must not name the same one twice")
    return values


Id = Annotated[UUID, BeforeValidator(_id), WithJsonSchema({"type": "string", "format": "uuid"})]
Metadata = Annotated[str, BeforeValidator(_metadata), WithJsonSchema({"type": "object"})]
"""A JSON object, as JSON text with every digit."""
Name = Annotated[str, Field(min_length=1, max_length=255)]
Integer = Annotated[int, BeforeValidator(_integer)]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Distinct = AfterValidator(_distinct)

UNSET: Any = Field(default_factory=lambda: None)
"""The default of a field that a PATCH may leave out; whether it was given tells `Fields.given`."""
