"""Linear's collections, from the table of its types. docs/providers/linear.md lists them."""

from datetime import timedelta

from headrace.providers.kit import Canon, ChangedSince, Collection, Listing
from headrace.providers.linear.reading import one, paged, whole
from headrace.providers.linear.schemas import schema_of
from headrace.providers.linear.types import TYPES, Type

DAY = timedelta(days=1)


def _collection(listed: Type) -> Collection:
    if listed.whole:
        everything, changes = whole(listed, windowed=False), whole(listed, windowed=True)
    else:
        everything = paged(listed, "createdAt", windowed=False)
        changes = paged(listed, "updatedAt", windowed=listed.filtered)
    return Collection(
        id=listed.collection,
        name=listed.name,
        listing=Listing(everything, order="unknown" if listed.whole else "newest_first"),
        changes=(ChangedSince(changes, resolution=timedelta(milliseconds=1)),),
        deletes="never" if listed.kept else "flag" if listed.trashed else "sweep",
        fetch=one(listed),
        sweep_every=DAY if listed.trashed or listed.kept else None,
        canon=Canon(volatile=listed.volatile),
        schema=schema_of(listed.name),
    )


COLLECTIONS: tuple[Collection, ...] = tuple(_collection(listed) for listed in TYPES)
