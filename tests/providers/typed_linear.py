"""Linear's own schema as a server: every query is executed on it, and what it answers is made from its types alone.

Nothing here knows what the connector asks for. Of each list of the query root there are five objects, handed out two a
page where it is a connection. `full` has a value everywhere, and each value of an enumeration in turn, one of tomorrow
among them; `sparse` has null wherever the schema allows it, and lists that are empty.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import orjson
from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    graphql_sync,
    is_abstract_type,
)

from headrace.testing.exchange import Call, Reply
from headrace.testing.linear import answers
from headrace.testing.provider import ProviderServer

SCHEMA = Path(__file__).parents[2].parent / "shared" / "evidence" / "schemas" / "linear.graphql"
COUNT, PAGE = 5, 2
START = datetime(2026, 4, 24, 10, 19, 21, 403_000, UTC)
TOMORROWS = "ofTomorrow"
"""A value that Linear may add to any enumeration: the connector's copy of the schema does not have it."""

Json = dict[str, Any]
Density = Literal["full", "sparse"]


@cache
def schema() -> GraphQLSchema:
    """Linear's schema, with one value more in each enumeration that is answered."""
    text = SCHEMA.read_text()
    names = (line.split()[1] for line in text.splitlines() if line.startswith("enum "))
    added = (f"extend enum {name} {{ {TOMORROWS} }}" for name in names if name != "PaginationOrderBy")
    return build_schema("\n".join([text, *added]))


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def listed_type(kind: GraphQLOutputType) -> GraphQLObjectType | None:
    """The type of the objects that a connection, or a plain list, is of; None for what is neither."""
    named = get_named_type(kind)
    if isinstance(named, GraphQLObjectType) and named.name.endswith("Connection"):
        named = get_named_type(named.fields["nodes"].type)
    elif not isinstance(kind, GraphQLNonNull) or not isinstance(kind.of_type, GraphQLList):
        return None
    return named if isinstance(named, GraphQLObjectType) and "id" in named.fields else None


def plain(kind: GraphQLObjectType) -> dict[str, GraphQLOutputType]:
    """The types of an object's fields by name, but for connections, which are lists of their own, and for those that
    cannot be had without an argument."""
    return {
        name: field.type
        for name, field in kind.fields.items()
        if not get_named_type(field.type).name.endswith("Connection")
        and not any(isinstance(argument.type, GraphQLNonNull) for argument in field.args.values())
    }


class Values:
    """Values of the schema's types. `number` is which of the objects they are for."""

    def __init__(self, density: Density) -> None:
        self._full = density == "full"

    def node(self, kind: GraphQLObjectType, number: int) -> Json:
        """An object of a list, with all its plain fields."""
        made = {name: self.value(each, f"{kind.name}.{name}", number) for name, each in plain(kind).items()}
        moment = START + timedelta(minutes=number)
        times = {"createdAt": stamp(moment - timedelta(days=9)), "updatedAt": stamp(moment)}
        return {**made, **times, "id": str(uuid5(NAMESPACE_URL, f"{kind.name} {number}"))}

    def value(self, kind: GraphQLOutputType, place: str, number: int, depth: int = 0) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self._least(kind.of_type, place, number, depth)
        return self._least(kind, place, number, depth) if self._full else None

    def _least(self, kind: Any, place: str, number: int, depth: int) -> Any:
        """A value that is not null; where it is to be sparse, as little as that may be."""
        if isinstance(kind, GraphQLList):
            several = range(number, number + 2) if self._full else ()
            return [self.value(kind.of_type, place, each, depth) for each in several]
        if isinstance(kind, GraphQLEnumType):
            values = [*kind.values][::-1]
            return values[number % len(values)]
        if isinstance(kind, GraphQLScalarType):
            return self._scalar(kind.name, place, number)
        return self._inside(kind, place, number, depth)

    def _inside(self, kind: Any, place: str, number: int, depth: int) -> Json:
        """An object that another holds: what it is, its id, and what it holds in turn, down to the third object."""
        if is_abstract_type(kind):
            possible = [*kind.types] if isinstance(kind, GraphQLUnionType) else schema().get_possible_types(kind)
            kind = possible[number % len(possible)]
        made: Json = {"__typename": kind.name}
        if depth < 2:
            made |= {name: self.value(each, f"{place}.{name}", number, depth + 1) for name, each in plain(kind).items()}
        named = "id" in kind.fields and (self._full or isinstance(kind.fields["id"].type, GraphQLNonNull))
        return {**made, **({"id": str(uuid5(NAMESPACE_URL, f"{place} {number}"))} if named else {})}

    def _scalar(self, name: str, place: str, number: int) -> Any:
        full: dict[str, Any] = {
            "Int": 2_147_483_647 - number,
            "Float": -1e-7 / (number + 1),
            "Boolean": number % 2 == 1,
            "DateTime": stamp(START - timedelta(days=number)),
            "TimelessDate": f"2026-02-0{number + 1}",
            "JSON": [{"n": number, "deep": {"null": None}}],
            "JSONObject": {"n": number, "deep": {"list": []}},
        }
        sparse = {**full, "Int": 0, "Float": 0.0, "Boolean": False, "JSON": {}, "JSONObject": {}}
        text = f'{place} {number}: "quoted" \\ \u0000 \u2028 é 🏗\n' if self._full else ""
        return (full if self._full else sparse).get(name, text)


class TypedLinear(ProviderServer):
    """The server. `held` are the objects of each list by its name in the query root, the youngest first; `asked` the
    texts of the queries that were executed."""

    def __init__(self, density: Density, **options: Any) -> None:
        super().__init__(**options)
        self.held: dict[str, list[Json]] = {}
        self.asked: list[str] = []
        self._single: dict[tuple[str, str], Json] = {}
        self._root: dict[str, Callable[..., Any]] = {}
        values, query = Values(density), schema().query_type
        assert query is not None
        for name, field in query.fields.items():
            kind = get_named_type(field.type)
            if (node := listed_type(field.type)) is not None:
                self.held[name] = [values.node(node, number) for number in reversed(range(COUNT))]
                self._single |= {(node.name, each["id"]): each for each in self.held[name]}
                self._root[name] = partial(self._listed, name, kind.name.endswith("Connection"))
            elif isinstance(kind, GraphQLObjectType):
                self.held[name] = [values.node(kind, 0)] if not field.args else []
                self._root[name] = partial(self._one, kind.name) if field.args else partial(self._own, name)

    def answer(self, call: Call) -> Reply:
        told = orjson.loads(call.body)
        self.asked.append(told["query"])
        found = graphql_sync(schema(), told["query"], self._root, variable_values=told.get("variables"))
        if found.errors:
            code = str((found.errors[0].extensions or {}).get("code", "GRAPHQL_VALIDATION_FAILED"))
            return answers.error(found.errors[0].message, code, "invalid input", 400 if found.data is None else 200)
        return Reply.json({"data": found.data})

    def refusal(self, kind: Any, call: Call, fault: Any = None, reason: str = "") -> Reply:
        return answers.server_error(500)

    def _own(self, name: str, info: object) -> Json:
        """What there is one of, as the workspace."""
        return self.held[name][0]

    def _one(self, kind: str, info: object, id: str, **asked: Any) -> Json:  # noqa: A002 - the argument's name
        if (kind, id) not in self._single:
            raise GraphQLError(f"Entity not found: {kind}", extensions={"code": "INPUT_ERROR"})
        return self._single[kind, id]

    def _listed(self, name: str, paged: bool, info: object, **asked: Any) -> Any:
        if not paged:
            return self.held[name]
        order = asked.get("orderBy", "createdAt")
        rows = sorted(self.held[name], key=lambda row: str(row[order]), reverse=True)
        start = 0
        if (after := asked.get("after")) is not None:
            start = [row["id"] for row in rows].index(after) + 1
        rows = [row for row in rows[start:] if shown(row, asked)]
        page = rows[: min(PAGE, asked.get("first", 50))]
        end = {"startCursor": page[0]["id"], "endCursor": page[-1]["id"]} if page else {}
        return {"nodes": page, "pageInfo": {"hasNextPage": len(rows) > len(page), "hasPreviousPage": start > 0, **end}}


def shown(row: Json, asked: Json) -> bool:
    """Whether a list shows the object: what is archived, and who is no longer active, only when asked for."""
    if row.get("archivedAt") is not None and not asked.get("includeArchived"):
        return False
    if row.get("active") is False and "includeDisabled" in asked and not asked["includeDisabled"]:
        return False
    for field, bounds in (asked.get("filter") or {}).items():
        checks = {"gte": str.__ge__, "lt": str.__lt__, "gt": str.__gt__, "lte": str.__le__, "eq": str.__eq__}
        if not all(checks[name](row[field], bound) for name, bound in bounds.items()):
            return False
    return True
