"""Make the packaged schemas of Linear's collections, and the schema of its server in headrace.testing.

    python scripts/linear_schemas.py PATH/TO/schema.graphql [FOLDER]

The GraphQL schema is Linear's own (packages/sdk/src/schema.graphql of github.com/linear/linear, MIT). A collection has
what can be asked for without arguments and at little cost: scalars, lists of scalars, and of each object that it refers
to the id. Fields that are internal or deprecated are left out, and so are lists of objects: they are collections.
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
        *("bodyData", "descriptionState", "contentState", "documentContent", "favorite"),
        *("identityProvider", "integrationsSettings", "securitySettings", "scimGroupName", "scimManaged", "secret"),
    }
)
"""Editor states beside the text that they hold; what is the reader's own; what only an administrator may see, since one
field that is refused fails the whole page; secrets."""


def wrapped(field: GraphQLField) -> tuple[Any, bool, bool]:
    """A field's type by name, whether it is a list, and whether it may be null."""
    kind = field.type
    nullable = not isinstance(kind, GraphQLNonNull)
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    return get_named_type(kind), isinstance(inner, GraphQLList), nullable


def field_schema(name: str, field: GraphQLField) -> Schema | None:
    """The JSON Schema of a field that is asked for; None: it is not."""
    text = field.description or ""
    asks = any(isinstance(argument.type, GraphQLNonNull) for argument in field.args.values())
    if field.deprecation_reason or asks or "[Internal]" in text or "[ALPHA]" in text or name in LEFT_OUT:
        return None
    kind, several, nullable = wrapped(field)
    if isinstance(kind, GraphQLEnumType):
        made: Schema = {"type": "string", "examples": list(kind.values)}
    elif isinstance(kind, GraphQLScalarType):
        made = dict(SCALARS.get(kind.name, {"type": "string"}))
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and "id" in kind.fields and not several:
        made = {"type": "object", "properties": {"id": {"type": "string"}}}
    else:
        return None
    if several:
        made = {"type": "array", "items": made}
    if nullable and "type" in made:
        made["type"] = [made["type"], "null"]
    words = " ".join(text.split()).partition(". ")[0]
    described = {"description": words} if words and len(words) <= LONGEST else {}
    return {"title": title(name), **made, **described, "x-upstream-id": name, "x-scope": "provider"}


def title(name: str) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return "ID" if name == "id" else words[:1].upper() + words[1:]


def schema_of(schema: GraphQLSchema, listed: Type) -> Schema:
    node = node_of(schema, listed)
    fields = {name: made for name, field in node.fields.items() if (made := field_schema(name, field)) is not None}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title(listed.name.replace("_", " ")),
        "type": "object",
        "properties": dict(sorted(fields.items(), key=lambda pair: (pair[0] != "id", pair[0]))),
    }


def node_of(schema: GraphQLSchema, listed: Type) -> GraphQLObjectType:
    assert schema.query_type is not None
    connection = get_named_type(schema.query_type.fields[listed.field].type)
    node = get_named_type(connection.fields["nodes"].type)  # type: ignore[union-attr]
    assert isinstance(node, GraphQLObjectType)
    return node


def server_schema(schema: GraphQLSchema, schemas: dict[str, Schema]) -> str:
    """The part of Linear's schema that its server in headrace.testing has: the same names and types."""
    assert schema.query_type is not None
    nodes = {listed.name: node_of(schema, listed) for listed in TYPES}
    lists, singles, types = [], [], []
    for listed in TYPES:
        node = nodes[listed.name]
        arguments = "first: Int, after: String, includeArchived: Boolean, orderBy: PaginationOrderBy"
        if "filter" in schema.query_type.fields[listed.field].args and listed.filtered:
            arguments += ", filter: TimeFilter"
        if listed.disabled:
            arguments += ", includeDisabled: Boolean"
        lists.append(f"  {listed.field}({arguments}): {node.name}Connection!")
        if listed.one is not None:
            singles.append(f"  {listed.one}(id: String!): {node.name}!")
        fields = "\n".join(f"  {name}: {sdl(node.fields[name])}" for name in schemas[listed.name]["properties"])
        types.append(f"type {node.name} {{\n{fields}\n}}")
        types.append(f"type {node.name}Connection {{\n  nodes: [{node.name}!]!\n  pageInfo: PageInfo!\n}}")
    return (
        "\n\n".join(
            [HEAD, "type Query {\n  organization: Organization!\n" + "\n".join([*lists, *singles]) + "\n}", *types]
        )
        + "\n"
    )


KEPT = frozenset({"Int", "Float", "Boolean", "JSON"})


def sdl(field: GraphQLField) -> str:
    """A field's type in the server's schema."""
    kind, several, nullable = wrapped(field)
    if isinstance(kind, GraphQLEnumType | GraphQLScalarType):
        name = "JSON" if kind.name == "JSONObject" else kind.name if kind.name in KEPT else "String"
    else:
        name = "Reference"
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
}

type Organization {
  id: String!
  name: String!
  urlKey: String!
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
