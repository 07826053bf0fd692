"""Bodies: strict JSON, then the fields' own rules; what does not hold is a 422 that names every field at once."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from headrace import jsontext
from headrace.errors import BadRequest, Invalid

_LONGEST_NAME = 200


class Fields(BaseModel):
    """The fields of a body. A name that is none of them is refused, but for the object's `output_only` ones, which are
    ignored so that what was read can be sent back. `older` maps an older spelling to the present name; `fixed` maps a
    field that cannot be changed to the reason."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    output_only: ClassVar[frozenset[str]] = frozenset()
    older: ClassVar[Mapping[str, str]] = {}
    fixed: ClassVar[Mapping[str, str]] = {}

    def given(self) -> dict[str, Any]:
        """The fields that the body names, by name: what a PATCH changes."""
        return {name: getattr(self, name) for name in self.model_fields_set}


M = TypeVar("M", bound=Fields)


class JsonBody(Generic[M]):
    """The dependency that reads the body as a `model`. `optional`: no body is an empty object."""

    def __init__(self, model: type[M], *, optional: bool = False) -> None:
        self.model = model
        self.optional = optional

    async def __call__(self, request: Request) -> M:
        return validated(self.model, await read_object(request, optional=self.optional))


async def read_object(request: Request, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object in the body. Raises BadRequest when it is none, Invalid when part of it could not be kept."""
    body = await request.body()
    if optional and not body.strip():
        return {}
    return object_of(body)


def object_of(body: bytes) -> dict[str, Any]:
    try:
        value = jsontext.loads(body)
    except jsontext.NotJson as error:
        raise BadRequest(f"The body is not JSON: {error}. Send a JSON object.") from None
    except jsontext.NotStorable as error:
        raise Invalid({_dotted(error.path): [error.reason]}) from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object, as {\"name\": \"...\"}.")  # fmt: skip
    return value


def validated(model: type[M], value: Mapping[str, Any]) -> M:
    """The model of `value`. Raises Invalid with every reason of every field."""
    errors: dict[str, list[str]] = {}
    known: dict[str, Any] = {}
    for name, held in value.items():
        present = model.older.get(name, name)
        if reason := model.fixed.get(name):
            errors[name] = [reason]
        elif present != name and present in value:
            errors[name] = [f"is the older spelling of {present}, which is given too; leave one out"]
        elif name in model.model_fields or name not in model.output_only:
            known[present] = held
    try:
        made = model.model_validate(known)
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_input=False):
            errors.setdefault(_dotted(error["loc"]), []).append(reason_of(error))
    if errors:
        raise Invalid(errors)
    return made


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path)[:_LONGEST_NAME] or "body"


_REASONS = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this object",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} item(s)",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be a finite number",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "must be a smaller integer",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "value_error": "{error}",
}


def reason_of(error: Mapping[str, Any]) -> str:
    """Why a field does not hold, in plain words and without its value."""
    template = _REASONS.get(error["type"])
    return error["msg"] if template is None else template.format(**_plain(error.get("ctx", {})))


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds as people write them: 0, not 0.0."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in context.items()
    }
