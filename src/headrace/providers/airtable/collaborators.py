"""Who may work in a base: persons and groups, added to the base itself or having it by way of its workspace.

What is told of a base depends on the plan of the workspace in which it is, so each base is read by itself: one of which
nothing is told does not keep back the others.

Source: https://airtable.com/developers/web/api/get-base-collaborators (scope workspacesAndBases:read).
"""

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from headrace.providers.airtable.places import NOT_TOLD, OFFSET, bases, get
from headrace.providers.airtable.shapes import schema_of
from headrace.providers.kit import (
    EVERYTHING,
    Collection,
    Context,
    Cursor,
    Listing,
    Page,
    Paged,
    Partitions,
    Record,
    Request,
    Response,
    Steps,
    Window,
)
from headrace.providers.kit.rows import Picker, Raw, Reader, decoded, unreadable

ID = "airtable:collaborator"
SCOPE = "workspacesAndBases:read"
WORKSPACE = "workspace"
_BASES = Paged(bases(), OFFSET, "bases")
_base = Picker(id=("id", str), name=("name", str))
_person, _group = Reader(ID, "userId", created="createdTime"), Reader(ID, "groupId", created="createdTime")


class _Lists(msgspec.Struct):
    """Those of one kind, by the way on which they have the base."""

    baseCollaborators: list[Raw]
    workspaceCollaborators: list[Raw]


class _Told(msgspec.Struct):
    """The answer. `collaborators` is the older name of the persons, which the documentation keeps; of a base without
    groups, theirs need not be there."""

    individualCollaborators: _Lists | None = None
    collaborators: _Lists | None = None
    groupCollaborators: _Lists | None = None


def _partitions(
    ctx: Context, cursor: Cursor | None
) -> Generator[Request, Response, tuple[list[tuple[str, str]], Cursor | None]]:
    read = yield from _BASES.read(ctx, EVERYTHING, cursor)
    named = [decoded(lambda row=row: _base(row)) for row in read.rows]  # type: ignore[misc]
    return [(base, name or base) for base, name in named], read.next


def _request(base: str) -> Request:
    return get(f"/v0/meta/bases/{base}", base, ("include", "collaborators"))


def are_told(base: str) -> Generator[Request, Response, bool]:
    """Whether the credential is told who may work in this base."""
    response = yield replace(_request(base), accept=NOT_TOLD, any_body=True)
    if response.status >= 300:
        return False
    told = decoded(lambda: response.decode(_Told))
    return (told.individualCollaborators or told.collaborators) is not None


def _page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    base = str(ctx.partition)
    response = yield _request(base)
    told = decoded(lambda: response.decode(_Told))
    persons = told.individualCollaborators or told.collaborators
    if persons is None:
        raise unreadable("it has no collaborators")
    made = [*_records(persons, _person, base, response.sent_at)]
    if told.groupCollaborators is not None:
        made += _records(told.groupCollaborators, _group, base, response.sent_at)
    return Page([*made])


def _records(lists: _Lists, reader: Reader, base: str, as_of: datetime) -> Iterator[Record]:
    """A person may have a base on both ways, with two levels of permission: these are two records."""
    for rows, way in ((lists.baseCollaborators, ""), (lists.workspaceCollaborators, f"{WORKSPACE}/")):
        for row in rows:
            record = reader(row, as_of, base)
            yield replace(record, id=f"{base}/{way}{record.id}", parent=base)


COLLABORATORS = Collection(
    id=ID,
    name="collaborator",
    listing=Listing(_page),
    partitions=Partitions(_partitions),
    sweep_every=timedelta(hours=1),
    schema=schema_of("collaborator"),
)
