"""The objects of an org as collections: which readings each of them has.

Sources: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference (ContentDocumentLink
needs a filter by id; Knowledge articles need one by PublishStatus).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from headrace.providers.kit import (
    Canon,
    ChangedSince,
    Children,
    Collection,
    Deleted,
    Discovery,
    Fetch,
    Found,
    Listing,
    PageFunction,
    joined,
)
from headrace.providers.salesforce.bulk import Bulk
from headrace.providers.salesforce.describe import STANDARD, Shape, collection_id, discover
from headrace.providers.salesforce.links import FILE, LINK, Links
from headrace.providers.salesforce.objects import LAG, RETENTION, SObject

SETTLE = timedelta(minutes=5)
"""A change bears the time at which it was made, and shows when its transaction ends."""

_PUBLISHED = ("Draft", "Online", "Archived")
LISTED_EVERY = timedelta(minutes=5)
"""The recycle bin shows most deletions at once; getDeleted tells of the others."""

Stamp = Literal["updated", "created"]
Schema = Callable[[], Mapping[str, Any]]
CANON = Canon(volatile=("attributes",))
"""`attributes` holds the API version in its url: no part of the record's content."""


def collection_of(shape: Shape, name: str = "", schema: Schema = dict) -> Collection:
    """The collection of an object of this shape."""
    if shape.name == LINK:
        return _links(shape, schema)
    objects = [SObject(shape, *only) for only in _only(shape)]
    stamp: Stamp | None = "updated" if shape.updated else "created" if shape.created else None
    changes = _one_after_another([each.page for each in objects])
    listed = Deleted(objects[0].deleted, RETENTION, settle=LAG, every=LISTED_EVERY) if shape.listed else None
    return Collection(
        id=shape.collection,
        name=name or shape.name,
        listing=Listing(
            _one_after_another([Bulk(each).page for each in objects]),
            windowed=stamp,
            count=Bulk(objects[0]).count if len(objects) == 1 else None,
        ),
        changes=() if stamp is None else (ChangedSince(changes, field=stamp, ordered=True, settle=SETTLE),),
        deleted=listed,
        deletes="flag" if shape.soft and shape.updated else "list" if shape.listed else "sweep",
        fetch=Fetch(SObject(shape).fetch),
        canon=CANON,
        schema=schema,
        age="updated" if shape.updated else "created",
    )


def _one_after_another(functions: list[PageFunction]) -> PageFunction:
    return functions[0] if len(functions) == 1 else joined(*functions)


def _links(shape: Shape, schema: Schema) -> Collection:
    """What a link does is not always told by its file: so they are compared in full as often as what nothing tells."""
    links = Links(shape)
    return Collection(
        id=shape.collection,
        name=LINK,
        listing=Listing(links.listing, order="by_id"),
        children=Children(collection_id(FILE), links.again),
        deletes="parent",
        fetch=Fetch(SObject(shape).fetch),
        canon=CANON,
        schema=schema,
        sweep_every=timedelta(hours=6),
    )


def _only(shape: Shape) -> list[tuple[str, ...]]:
    """Articles can be asked for by one state of publication at a time."""
    if shape.name.endswith("__kav"):
        return [(f"PublishStatus = '{status}'",) for status in _PUBLISHED]
    return [()]


def _own(key: str, found: Found) -> Collection:
    return collection_of(Shape.found(found.upstream), found.name, partial(dict, found.schema))


COLLECTIONS = tuple(
    sorted((collection_of(Shape.declared(name)) for name in STANDARD), key=lambda collection: collection.id)
)
DISCOVERY = Discovery(discover, _own)
