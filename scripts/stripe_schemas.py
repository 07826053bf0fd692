"""Make src/headrace/providers/stripe/schemas/*.json from the types of the installed stripe-python.

    python scripts/stripe_schemas.py [FOLDER]

stripe-python (MIT) is generated from Stripe's OpenAPI; its classes carry the fields, types and descriptions of one API
version, the one that the connector pins. The source is parsed, not imported: its annotations are names for type
checkers. A schema says what a field is when it is there and not null: Stripe leaves fields out and adds new ones, so
nothing is required and nothing closed; enumerations are open, their known values are given as examples.
"""

import ast
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from stripe._api_version import _ApiVersion
from stripe._object_classes import OBJECT_CLASSES

from headrace.providers.stripe.access import VERSION
from headrace.providers.stripe.collections import COLLECTIONS

Schema = dict[str, Any]

OBJECTS = {
    "checkout_session_line_item": ["item"],
    "credit_note_line_item": ["credit_note_line_item"],
    "external_account": ["bank_account", "card"],
    "invoice_line_item": ["line_item"],
    "payment_link_line_item": ["item"],
    "payment_source": ["bank_account", "card", "source"],
    "quote_line_item": ["item"],
}
"""Collections whose name is not that of their object at Stripe."""

SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "Decimal": "string"}
LONGEST = 200
DESCRIBED_LEVELS = 2


def object_names(collection: str) -> list[str]:
    known = {name.replace(".", "_"): name for name in OBJECT_CLASSES}
    return OBJECTS.get(collection) or [known[collection]]


def class_of(object_name: str) -> ast.ClassDef:
    module, name = OBJECT_CLASSES[object_name]
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def properties(node: ast.ClassDef, level: int = 1) -> dict[str, Schema]:
    inner = {child.name: child for child in node.body if isinstance(child, ast.ClassDef)}
    found: dict[str, Schema] = {}
    for place, child in enumerate(node.body):
        if not isinstance(child, ast.AnnAssign) or not isinstance(child.target, ast.Name):
            continue
        if child.target.id.startswith("_") or child.target.id == "OBJECT_NAME":
            continue
        name = field_name(child)
        schema = of_type(child.annotation, inner, level)
        if level <= DESCRIBED_LEVELS:
            schema = {"title": title(name), **schema}
        after = node.body[place + 1] if place + 1 < len(node.body) else None
        if level <= DESCRIBED_LEVELS and (words := description(after)):
            schema["description"] = words
            if "seconds since the Unix epoch" in ast.unparse(after):  # type: ignore[arg-type]
                schema["format"] = "unix-time"
        found[name] = schema
    return found


def field_name(node: ast.AnnAssign) -> str:
    """A field whose name is a keyword of Python is spelt with an underscore after it."""
    assert isinstance(node.target, ast.Name)
    return node.target.id.removesuffix("_")


def title(name: str) -> str:
    words = name.replace("_", " ").strip()
    return (words[:1].upper() + words[1:]).replace(" id", " ID") if words != "id" else "ID"


def description(node: ast.stmt | None) -> str:
    """The first sentence of the docstring under a field, without links, or nothing where it is long."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
        return ""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(node.value.value.split()))
    text = re.sub(r"</?\w+[^>]*>", "", text)
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", text, maxsplit=1)[0]
    return first if len(first) <= LONGEST else ""


def of_type(node: ast.expr, inner: dict[str, ast.ClassDef], level: int) -> Schema:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return of_type(ast.parse(node.value, mode="eval").body, inner, level)
    if isinstance(node, ast.Name):
        return of_name(node.id, inner, level)
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
        return {}
    outer = node.value.id
    if outer == "Optional":
        return nullable(of_type(node.slice, inner, level))
    if outer in ("List", "Sequence"):
        return {"type": "array", "items": of_type(node.slice, inner, level)}
    if outer in ("Dict", "UntypedStripeObject"):
        values = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
        return {"type": "object", "additionalProperties": of_type(values, inner, level + 1)}
    if outer == "ExpandableField":
        return {"type": ["string", "object"]}
    if outer == "ListObject":
        return list_object()
    if outer == "Literal":
        return literal(node.slice)
    if outer == "Union":
        assert isinstance(node.slice, ast.Tuple)
        return union([of_type(part, inner, level) for part in node.slice.elts])
    return {}


def of_name(name: str, inner: dict[str, ast.ClassDef], level: int) -> Schema:
    if name in SIMPLE:
        return {"type": SIMPLE[name]}
    if name in inner:
        return {"type": "object", "properties": properties(inner[name], level + 1)}
    return {} if name in ("Any", "object") else {"type": "object"}


def list_object() -> Schema:
    fields = {"object": {"type": "string"}, "data": {"type": "array"}, "has_more": {"type": "boolean"}}
    return {"type": "object", "properties": {**fields, "url": {"type": "string"}}}


def literal(node: ast.expr) -> Schema:
    values = [ast.literal_eval(part) for part in (node.elts if isinstance(node, ast.Tuple) else [node])]
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return {"type": "boolean"}
    return {"type": "string", "examples": values} if kinds == {str} else {}


def union(parts: list[Schema]) -> Schema:
    """One schema for several: the types together, and what the one that says most says."""
    types: list[str] = []
    for part in parts:
        given = part.get("type")
        if given is None:
            return {}
        types += [kind for kind in ([given] if isinstance(given, str) else given) if kind not in types]
    merged = {key: value for part in parts for key, value in part.items()}
    return {**merged, "type": types[0] if len(types) == 1 else types}


def nullable(schema: Schema) -> Schema:
    given = schema.get("type")
    if given is None:
        return schema
    return {**schema, "type": [*([given] if isinstance(given, str) else given), "null"]}


def schema_of(collection: str) -> Schema:
    fields: dict[str, Schema] = {}
    for name in object_names(collection):
        for field, schema in properties(class_of(name)).items():
            known = fields.get(field)
            fields[field] = schema if known in (None, schema) else {**union([known, schema]), "title": title(field)}
    for field, schema in fields.items():
        schema.update({"x-upstream-id": field, "x-scope": "provider"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title(collection),
        "type": "object",
        "properties": dict(sorted(fields.items(), key=lambda field: (field[0] != "id", field[0]))),
    }


def main(folder: Path) -> None:
    if _ApiVersion.CURRENT != VERSION:
        raise SystemExit(f"the installed stripe-python has API version {_ApiVersion.CURRENT}, the connector {VERSION}")
    folder.mkdir(exist_ok=True)
    for collection in COLLECTIONS:
        written = orjson.dumps(schema_of(collection.name))
        (folder / f"{collection.name}.json").write_bytes(written + b"\n")


if __name__ == "__main__":
    here = Path(__file__).parent.parent / "src/headrace/providers/stripe/schemas"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here)
