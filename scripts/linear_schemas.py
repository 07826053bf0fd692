"""Make the packaged schemas of Linear's collections, and the schema of its server in headrace.testing.

    python scripts/linear_schemas.py PATH/TO/schema.graphql [FOLDER]

The GraphQL schema is Linear's own (packages/sdk/src/schema.graphql of github.com/linear/linear, MIT). A collection has
what can be asked for without arguments and at little cost: scalars, lists of scalars, of each object that it refers to
the id, and values of several fields that have no life of their own (what it is synced with, the hours of a schedule).
Fields that are internal or deprecated are left out, and so are lists of objects: they are collections.
"""

import sys
from pathlib import Path
from typing import Any

import orjson
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
)

from headrace.providers.linear.types import TYPES, Type

Schema = dict[str, Any]

SCALARS: dict[str, Schema] = {
    "ID": {"type": "string"},
    "String": {"type": "string"},
    "Int": {"type": "integer"},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "TimelessDate": {"type": "string", "format": "date"},
    "JSON": {},
    "JSONObject": {"type": "object"},
    "UUID": {"type": "string"},
}
LONGEST = 200
LEFT_OUT = frozenset(
    {
        *("bodyData", "descriptionState", "contentState", "documentContent", "favorite", "viewPreferencesValues"),
        *("viewerHasOnlySharedAccess", "disallowedIssueFields"),
        *("isPersonalIntegrationConnected", "isPersonalIntegrationRequired"),
        *("identityProvider", "integrationsSettings", "securitySettings", "scimGroupName", "scimManaged", "secret"),
        *("authSettings", "ipRestrictions", "subscription"),
    }
)
"""Editor states beside the text that they hold; what is the reader's own; what only an administrator may see, since one
field that is refused fails the whole page; secrets."""
WITHIN = {
    ("ReleaseNote", "documentContent"): ("id", "content"),
    ("ReleaseNote", "releases"): ("id",),
}
"""Of objects that no collection has, or that nothing else tells to belong to this one: what is asked for within it."""


def wrapped(field: GraphQLField) -> tuple[Any, bool, bool]:
    """A field's type by name, whether it is a list, and whether it may be null."""
    kind = field.type
    nullable = not isinstance(kind, GraphQLNonNull)
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    return get_named_type(kind), isinstance(inner, GraphQLList), nullable


def is_asked_for(name: str, field: GraphQLField, owner: str) -> bool:
    text = (field.description or "").upper()
    asks = any(isinstance(argument.type, GraphQLNonNull) for argument in field.args.values())
    hidden = field.deprecation_reason or "[INTERNAL]" in text or "[ALPHA]" in text
    return not (hidden or asks) and (name not in LEFT_OUT or (owner, name) in WITHIN)


def field_schema(name: str, field: GraphQLField, owner: str) -> Schema | None:
    """The JSON Schema of a field of the type `owner` that is asked for; None: it is not."""
    if not is_asked_for(name, field, owner):
        return None
    kind, several, nullable = wrapped(field)
    made = value_schema(kind, several=several, within=WITHIN.get((owner, name), ()))
    if made is None:
        return None
    if several:
        made = {"type": "array", "items": made}
    if nullable and "type" in made:
        made["type"] = [made["type"], "null"]
    words = " ".join((field.description or "").split()).partition(". ")[0]
    described = {"description": words} if words and len(words) <= LONGEST else {}
    return {"title": title(name), **made, **described, "x-upstream-id": name, "x-scope": "provider"}


def value_schema(kind: Any, *, several: bool, within: tuple[str, ...]) -> Schema | None:
    """The JSON Schema of a value of this type; None for what is a collection, or leads to one."""
    if isinstance(kind, GraphQLEnumType):
        return {"type": "string", "examples": list(kind.values)}
    if isinstance(kind, GraphQLScalarType):
        return dict(SCALARS.get(kind.name, {"type": "string"}))
    if isinstance(kind, GraphQLUnionType):
        return {"type": "object", "anyOf": [{"title": each.name, **fields_of(each)} for each in kind.types]}
    if kind.name.endswith("Connection"):
        return None
    is_node = isinstance(kind, GraphQLInterfaceType) or any(each.name == "Node" for each in kind.interfaces)
    if is_node and several and not within:
        return None
    if is_node and not within:
        return {"type": "object", "properties": {"id": {"type": "string"}}}
    return {"type": "object", **fields_of(kind, within)}


def fields_of(kind: GraphQLObjectType, only: tuple[str, ...] = ()) -> Schema:
    """The properties of an object: its own fields, or of these `only`."""
    fields = {name: field for name, field in kind.fields.items() if not only or name in only}
    made = {
        name: schema for name, each in fields.items() if (schema := field_schema(name, each, kind.name)) is not None
    }
    return {"properties": dict(sorted(made.items(), key=lambda pair: (pair[0] != "id", pair[0])))}


def title(name: str) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return "ID" if name == "id" else words[:1].upper() + words[1:]


def schema_of(schema: GraphQLSchema, listed: Type) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title(listed.name.replace("_", " ")),
        "type": "object",
        **fields_of(node_of(schema, listed)),
    }


def node_of(schema: GraphQLSchema, listed: Type) -> GraphQLObjectType:
    assert schema.query_type is not None
    node = get_named_type(schema.query_type.fields[listed.field].type)
    if not listed.whole:
        node = get_named_type(node.fields["nodes"].type)  # type: ignore[union-attr]
    assert isinstance(node, GraphQLObjectType)
    return node


def server_schema(schema: GraphQLSchema, schemas: dict[str, Schema]) -> str:
    """The part of Linear's schema that its server in headrace.testing has: the same names and types."""
    assert schema.query_type is not None
    nodes = {listed.name: node_of(schema, listed) for listed in TYPES}
    lists, singles, types = [], [], []
    for listed in TYPES:
        node = nodes[listed.name]
        if listed.single:
            lists.append(f"  {listed.field}: {node.name}!")
        elif listed.whole:
            lists.append(f"  {listed.field}: [{node.name}!]!")
        else:
            lists.append(f"  {listed.field}({arguments(schema, listed)}): {node.name}Connection!")
            types.append(f"type {node.name}Connection {{\n  nodes: [{node.name}!]!\n  pageInfo: PageInfo!\n}}")
        if listed.one is not None:
            singles.append(f"  {listed.one}(id: String!): {node.name}!")
        types += definitions(node, schemas[listed.name])
    return (
        "\n\n".join(
            [
                HEAD,
                "type Query {\n" + "\n".join([*lists, *singles]) + "\n}",
                *dict.fromkeys(types),
            ]
        )
        + "\n"
    )


def arguments(schema: GraphQLSchema, listed: Type) -> str:
    """The arguments of a connection."""
    assert schema.query_type is not None
    made = "first: Int, after: String, includeArchived: Boolean, orderBy: PaginationOrderBy"
    if "filter" in schema.query_type.fields[listed.field].args and listed.filtered:
        made += ", filter: TimeFilter"
    return made + (", includeDisabled: Boolean" if listed.disabled else "")


def definitions(kind: Any, schema: Schema) -> list[str]:
    """The definitions of a type in the server's schema, and of the values within it."""
    if isinstance(kind, GraphQLUnionType):
        inner = zip(kind.types, schema["anyOf"], strict=True)
        union = f"union {kind.name} = {' | '.join(each.name for each in kind.types)}"
        return [text for each, part in inner for text in definitions(each, part)] + [union]
    made: list[str] = []
    fields = {name: kind.fields[name] for name in schema["properties"]}
    for name, field in fields.items():
        inside = value_of(schema["properties"][name])
        if "anyOf" in inside or ("properties" in inside and not is_reference(inside)):
            made += definitions(get_named_type(field.type), inside)
    lines = (f"  {name}: {sdl(field, value_of(schema['properties'][name]))}" for name, field in fields.items())
    return [*made, f"type {kind.name} {{\n{chr(10).join(lines)}\n}}"]


def value_of(schema: Schema) -> Schema:
    """The schema of a value, or of each of a list's."""
    found: Schema = schema.get("items", schema)
    return found


def is_reference(schema: Schema) -> bool:
    return list(schema.get("properties", ())) == ["id"]


KEPT = frozenset({"Int", "Float", "Boolean", "JSON"})


def sdl(field: GraphQLField, inside: Schema) -> str:
    """A field's type in the server's schema."""
    kind, several, nullable = wrapped(field)
    if isinstance(kind, GraphQLEnumType | GraphQLScalarType):
        name = "JSON" if kind.name == "JSONObject" else kind.name if kind.name in KEPT else "String"
    else:
        name = "Reference" if is_reference(inside) else kind.name
    return (f"[{name}!]" if several else name) + ("" if nullable else "!")


HEAD = '''"""
The part of Linear's schema that its server here has, made by scripts/linear_schemas.py from
packages/sdk/src/schema.graphql of github.com/linear/linear, Copyright (c) Linear Orbit, Inc., MIT. Enumerations and
times are strings here, and of an object that is referred to there is the id alone.
"""
schema {
  query: Query
}

scalar JSON

scalar DateTimeOrDuration

enum PaginationOrderBy {
  createdAt
  updatedAt
}

input DateComparator {
  gt: DateTimeOrDuration
  gte: DateTimeOrDuration
  lt: DateTimeOrDuration
  lte: DateTimeOrDuration
}

input TimeFilter {
  createdAt: DateComparator
  updatedAt: DateComparator
}

type PageInfo {
  hasNextPage: Boolean!
  endCursor: String
}

type Reference {
  id: String!
}'''


def main(source: Path, folder: Path, server: Path | None) -> None:
    schema = build_schema(source.read_text())
    made = {listed.name: schema_of(schema, listed) for listed in TYPES}
    folder.mkdir(exist_ok=True)
    for name, each in made.items():
        (folder / f"{name}.json").write_bytes(orjson.dumps(each) + b"\n")
    if server is not None:
        server.write_text(server_schema(schema, made))


if __name__ == "__main__":
    package = Path(__file__).parent.parent / "src/headrace"
    if len(sys.argv) > 2:
        main(Path(sys.argv[1]), Path(sys.argv[2]), None)
    else:
        main(Path(sys.argv[1]), package / "providers/linear/schemas", package / "testing/linear/schema.graphql")
