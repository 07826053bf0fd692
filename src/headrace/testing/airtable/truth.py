"""What the bases hold, in the connector's words: the truth that laws compare copies with."""

from collections.abc import Iterator, Mapping

import orjson

from headrace.testing.airtable.world import OWNER, Base, Table, World


class Truth:
    """Called with a collection id of the connector: (id, raw JSON) of everything that is there. `found` has the scope
    and upstream id of the account's own collections by their ids; one that it lacks is `airtable:SCOPE.ID`."""

    def __init__(self, world: World, found: Mapping[str, tuple[str, str]] | None = None) -> None:
        self._world = world
        self._found = found or {}

    def __call__(self, collection_id: str) -> Iterator[tuple[str, bytes]]:
        name = collection_id.removeprefix("airtable:")
        bases = self._world.bases
        match name:
            case "base":
                yield from ((base.id, orjson.dumps(shown(base))) for base in bases.values())
            case "table":
                for base, table in self._world.each_table():
                    yield f"{base.id}/{table.id}", orjson.dumps(table.described())
            case "webhook":
                for base in bases.values():
                    yield from ((f"{base.id}/{key}", orjson.dumps(each.shown())) for key, each in base.webhooks.items())
            case "collaborator":
                yield from (each for base in bases.values() for each in _collaborators(base))
            case "audit_event":
                yield from ((each["id"], orjson.dumps(each)) for each in self._world.audit)
            case "user":
                yield OWNER, orjson.dumps({"id": OWNER})
            case _:
                scope, _, upstream = name.partition(".")
                scope, upstream = self._found.get(collection_id, (scope, upstream))
                table_id, _, part = upstream.partition("/")
                if (within := bases[scope].tables.get(table_id)) is not None:
                    yield from self._rows(within, comments=part == "comments")

    def _rows(self, table: Table, *, comments: bool) -> Iterator[tuple[str, bytes]]:
        for row in list(table.rows.values()):
            if comments:
                yield from ((each["id"], orjson.dumps(each)) for each in row.comments)
            else:
                yield row.id, orjson.dumps(self._world.shown(table, row, by_id=True))


def _collaborators(base: Base) -> Iterator[tuple[str, bytes]]:
    yield from ((f"{base.id}/{key}", orjson.dumps(each)) for key, each in base.members.items())
    yield from ((f"{base.id}/workspace/{key}", orjson.dumps(each)) for key, each in base.inherited.items())


def shown(base: Base) -> dict[str, str]:
    """A base as the list of bases has it."""
    return {"id": base.id, "name": base.name, "permissionLevel": base.level}
