"""Linear's server: GraphQL on the part of Linear's own schema that can be listed (`schema.graphql`).

Sources: https://linear.app/developers (GraphQL, pagination, filtering, rate limiting), the schema of @linear/sdk, and
recorded headers. Pages are newest first; a cursor is the id of the last object of a page.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from importlib.resources import files
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import orjson

from headrace.testing.exchange import Call, Reply
from headrace.testing.faults import Fault
from headrace.testing.limits import Allowance
from headrace.testing.linear import answers
from headrace.testing.linear.controls import add_controls
from headrace.testing.linear.least import held_or_least, type_with
from headrace.testing.linear.mutator import Mutator
from headrace.testing.linear.world import KINDS, Thing, World
from headrace.testing.provider import Options, ProviderServer, Refusal

if TYPE_CHECKING:
    from graphql import GraphQLSchema

REQUESTS, COMPLEXITY, LARGEST = 5_000, 2_000_000, 10_000
"""An hour's requests and points, as recorded headers have them, and the most points of one query."""

LIST_KINDS = frozenset({"dead_cursor", "hidden", "duplicates", "unknown_field"})
"""`dead_cursor` the object that a cursor names is not found · `hidden` a list shows empty · `duplicates` a page begins
with its own last row · `unknown_field` the field `field` (default `description`) is no longer in the schema."""


class LinearServer(ProviderServer):
    """`records` is the number of objects beside the workspace itself, or of each collection by name (`issue`,
    `comment`, …). `world` is what
    there is. `schema` is the GraphQL schema on which queries are executed, in place of the part that is listed here:
    what the world does not hold of it is null, or the least that its type allows. Keys that begin with `lin_api_`
    open it, and as bearer those that begin with `lin_oauth_`.

    Needs graphql-core (`pip install 'headrace[testing]'`).
    """

    kinds: ClassVar[frozenset[str]] = LIST_KINDS

    def __init__(
        self,
        records: int | Mapping[str, int] = 1000,
        *,
        seed: int = 1,
        changes_per_s: float = 0.0,
        span_days: float = 300.0,
        schema: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.world = World(self.clock.now, seed)
        self.world.populate(records, self.clock.now() - 5.0, span_days * 86_400)
        self.world.changes = 0
        self.mutator: Mutator = Mutator(self.world, seed, changes_per_s)
        self.revoked: set[str] = set()
        self._schema = _schema(schema)
        add_controls(self)

    def credential(self, call: Call) -> str:
        key = call.headers.get("authorization", "")
        return f"{key[:8]}…{sha256(key.encode()).hexdigest()[:6]}" if key else ""

    def _opens(self, key: str) -> bool:
        return key not in self.revoked and key.startswith(("lin_api_", "Bearer lin_oauth_"))

    # What the base asks.

    def allowances(self, call: Call) -> Sequence[Allowance]:
        key = call.headers.get("authorization", "")
        return (
            Allowance(("requests", key), REQUESTS, 3600.0, "requests"),
            Allowance(("complexity", key), COMPLEXITY, 3600.0, "complexity", _points(call)),
        )

    def refusal(self, kind: Refusal, call: Call, fault: Fault | None = None, reason: str = "") -> Reply:
        match kind:
            case "rate_limited":
                wait_ms = int(float(fault.option("reset_s", 1.0) if fault else 60.0) * 1000)
                reset = str(int(self.clock.now() * 1000) + wait_ms)
                headers = (("X-RateLimit-Requests-Remaining", "0"), ("X-RateLimit-Requests-Reset", reset))
                return answers.too_many().changed(headers=headers)
            case "server_error":
                return answers.server_error(int(fault.option("status", 500)) if fault else 500)
            case "unauthorized":
                return answers.unauthorized()
            case "forbidden":
                return answers.forbidden()

    def answer(self, call: Call) -> Reply:
        if not self._opens(call.headers.get("authorization", "")):
            return answers.unauthorized()
        if (call.method, call.path) != ("POST", "/graphql"):
            return Reply.json({"error": "not found"}, 404)
        points = _points(call)
        if points > LARGEST:
            return answers.too_complex(points)
        reply = self._executed(call)
        return reply.changed(headers=(*reply.headers, *self._rate_headers(call, points)))

    def _rate_headers(self, call: Call, points: float) -> tuple[tuple[str, str], ...]:
        requests, complexity = self.allowances(call)
        now, reset = monotonic(), str(int((self.clock.now() + 3600) * 1000))
        return (
            ("X-Complexity", f"{points:.0f}"),
            ("X-RateLimit-Requests-Limit", str(REQUESTS)),
            ("X-RateLimit-Requests-Remaining", str(int(REQUESTS - self.limiter.used(requests, now)))),
            ("X-RateLimit-Requests-Reset", reset),
            ("X-RateLimit-Complexity-Limit", str(COMPLEXITY)),
            ("X-RateLimit-Complexity-Remaining", str(int(COMPLEXITY - self.limiter.used(complexity, now)))),
            ("X-RateLimit-Complexity-Reset", reset),
        )

    # GraphQL.

    def _executed(self, call: Call) -> Reply:
        from graphql import graphql_sync

        asked = orjson.loads(call.body)
        if fault := self.faults.strikes("unknown_field", call.path):
            name = str(fault.option("field", "description"))
            if f" {name} " in asked["query"]:
                return answers.error(
                    f'Cannot query field "{name}" on type "Issue".', "GRAPHQL_VALIDATION_FAILED", "graphql error", 400
                )
        found = graphql_sync(
            self._schema,
            asked["query"],
            self._root(call),
            variable_values=asked.get("variables"),
            field_resolver=held_or_least,
            type_resolver=type_with,
        )
        if found.errors:
            first = found.errors[0]
            code = str((first.extensions or {}).get("code", "GRAPHQL_VALIDATION_FAILED"))
            status = 400 if found.data is None and code == "GRAPHQL_VALIDATION_FAILED" else 200
            return answers.error(first.message, code, "invalid input", status)
        return Reply.json({"data": found.data})

    def _root(self, call: Call) -> dict[str, Any]:
        root: dict[str, Any] = {}
        for name, listed in KINDS.items():
            root[listed.field] = partial(self._whole if listed.whole else self._connection, name, call)
            if listed.one is not None:
                root[listed.one] = partial(self._single, name)
        return root

    def _single(self, name: str, info: object, id: str) -> dict[str, Any]:  # noqa: A002 - the argument's name
        return self._entity(name, id).data

    def _entity(self, name: str, key: str) -> Thing:
        from graphql import GraphQLError

        found = self.world.things[name].get(key)
        if found is None:
            raise GraphQLError(f"Entity not found: {name}", extensions={"code": "INPUT_ERROR"})
        return found

    def _whole(self, name: str, call: Call, info: object) -> Any:
        """What is no connection: all of it, or the one object that there is."""
        found = [thing.data for thing in self.world.things[name].values()]
        if KINDS[name].single:
            return found[0]
        return [] if self.faults.strikes("hidden", call.path) else found

    def _connection(
        self,
        name: str,
        call: Call,
        info: object,
        first: int = 50,
        after: str | None = None,
        includeArchived: bool = False,
        orderBy: str = "createdAt",
        filter: dict[str, dict[str, str]] | None = None,  # noqa: A002
        includeDisabled: bool = True,
    ) -> dict[str, Any]:
        rows = [thing for thing in self.world.things[name].values() if _passes(thing, filter or {}, includeArchived)]
        if self.faults.strikes("hidden", call.path):
            rows = []
        rows.sort(key=lambda thing: (thing.data[orderBy], thing.order), reverse=True)
        start = 0
        if after is not None:
            if self.faults.strikes("dead_cursor", call.path):
                self._entity(name, "gone")
            cursor = self._entity(name, after)
            mark = (cursor.data[orderBy], cursor.order)
            start = sum((thing.data[orderBy], thing.order) >= mark for thing in rows)
        page = rows[start : start + min(first, 250)]
        nodes = [thing.data for thing in page]
        more = start + len(page) < len(rows)
        if nodes and self.faults.strikes("duplicates", call.path):
            nodes = [nodes[-1], *nodes]
        return {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": nodes[-1]["id"] if nodes else None}}


def _passes(thing: Thing, asked: Mapping[str, Mapping[str, str]], archived: bool) -> bool:
    if not archived and thing.data["archivedAt"] is not None:
        return False
    for field, bounds in asked.items():
        value = thing.data[field]
        held = {"gte": value >= bounds.get("gte", ""), "lt": value < bounds.get("lt", "~")}
        held |= {"gt": value > bounds.get("gt", ""), "lte": value <= bounds.get("lte", "~")}
        if not all(held[name] for name in bounds):
            return False
    return True


def _schema(text: str | None) -> "GraphQLSchema":
    try:
        from graphql import build_schema
    except ImportError:
        raise ValueError("Linear's server needs graphql-core: pip install 'headrace[testing]'") from None
    return build_schema(text or (files(__package__) / "schema.graphql").read_text())


def _points(call: Call) -> float:
    """What a query costs, roughly as Linear counts: a tenth for a property, one for an object, times the page's
    size."""
    try:
        asked = orjson.loads(call.body)
        text, first = str(asked["query"]), float((asked.get("variables") or {}).get("first", 50))
    except (ValueError, KeyError, TypeError):
        return 1.0
    inner = text.partition("nodes{")[2].partition("} pageInfo")[0]
    names = inner.replace("{", " { ").replace("}", " } ").replace("... on", "").split()
    objects = names.count("{")
    return (1 + objects + 0.1 * (len(names) - 2 * objects)) * first if inner else 1.0
