"""JSON Schemas made from the types of PyPI's `stripe`, which Stripe makes from its OpenAPI description: the published
shape of every object, from outside this project."""

import importlib
import inspect
import re
import types
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from stripe import ListObject, StripeObject
from stripe._object_classes import get_object_class

Schema = dict[str, Any]

# Decimals travel as text, for which the SDK makes a Decimal.
_SIMPLE = {int: "integer", float: "number", str: "string", Decimal: "string", bool: "boolean", type(None): "null"}


def class_of(name: str) -> type[StripeObject]:
    """The SDK's class of an object name (`checkout.session`)."""
    return get_object_class("V1", name)


def schema_of(name: str) -> Schema:
    """The schema of an object, with the classes that it mentions as definitions."""
    maker = _Maker()
    root = maker.reference(class_of(name))
    return {**root, "$defs": maker.definitions}


class _Maker:
    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def reference(self, cls: type) -> Schema:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._object(cls)
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, cls: type) -> Schema:
        fields = {name: hint for name, hint in vars(cls).get("__annotations__", {}).items() if name != "OBJECT_NAME"}
        made = {name: self._hint(hint, cls) for name, hint in fields.items()}
        required = sorted(name for name, schema in made.items() if not _optional(schema))
        return {"type": "object", "properties": made, "required": required}

    def _hint(self, hint: Any, cls: type) -> Schema:
        if isinstance(hint, ForwardRef | str):
            hint = _resolve(hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint, cls)
        origin, args = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._hint(args[0], cls)
        if origin in (Union, types.UnionType):
            return {"anyOf": [self._hint(arg, cls) for arg in args]}
        if origin is Literal:
            return {"enum": list(args)}
        if origin is list:
            return {"type": "array", "items": self._hint(args[0], cls)}
        if origin is dict or hint is dict:
            return {"type": "object"}
        if inspect.isclass(origin) and issubclass(origin, ListObject):
            return _list_of(self._hint(args[0], cls))
        if inspect.isclass(origin) and issubclass(origin, StripeObject):
            return {"type": "object"}
        if inspect.isclass(hint) and issubclass(hint, StripeObject):
            return self.reference(hint)
        if hint is Any or hint is object:
            return {}
        return {"type": _SIMPLE[hint]}


def _list_of(items: Schema) -> Schema:
    properties = {
        "object": {"const": "list"},
        "data": {"type": "array", "items": items},
        "has_more": {"type": "boolean"},
        "url": {"type": "string"},
    }
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _optional(schema: Schema) -> bool:
    return schema == {} or {"type": "null"} in schema.get("anyOf", ())


def _resolve(name: str, cls: type) -> Any:
    """A forward reference: a class around or inside this one, or one that the module imports for type checking only."""
    module = importlib.import_module(cls.__module__)
    scope: dict[str, Any] = {**vars(module), **_imported(cls.__module__), "stripe": stripe}
    outer: Any = module
    for part in cls.__qualname__.split("."):
        outer = getattr(outer, part)
        scope.update({key: value for key, value in vars(outer).items() if inspect.isclass(value)})
    return eval(name, scope)


@cache
def _imported(module: str) -> dict[str, Any]:
    """What the module imports under TYPE_CHECKING from other modules of the package."""
    source = inspect.getsource(importlib.import_module(module))
    found: dict[str, Any] = {}
    for path, names in re.findall(r"^    from (stripe[\w.]*) import (\([^)]*\)|[^\n]+)", source, re.MULTILINE):
        if ".params" in path:
            continue
        for entry in names.strip("()").replace("\n", " ").split(","):
            original, _, renamed = entry.strip().partition(" as ")
            if original:
                found[renamed or original] = getattr(importlib.import_module(path), original)
    return found
