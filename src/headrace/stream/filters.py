"""Which records a consumer is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Filters:
    """None lets every value through; all that are given must match. A collection's provider stands before its colon."""

    providers: tuple[str, ...] | None = None
    sync_ids: tuple[UUID, ...] | None = None
    collection_ids: tuple[str, ...] | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """From `{"provider", "sync_id", "collection_id"}`, each "*", a value, or a list of values; missing is "*"."""
        sync_ids = _values(stored.get("sync_id", "*"))
        return cls(
            _values(stored.get("provider", "*")),
            None if sync_ids is None else tuple(UUID(each) for each in sync_ids),
            _values(stored.get("collection_id", "*")),
        )

    @property
    def none(self) -> bool:
        return self == Filters()

    def match(self, sync_id: UUID, collection_id: str) -> bool:
        return (
            (self.sync_ids is None or sync_id in self.sync_ids)
            and (self.collection_ids is None or collection_id in self.collection_ids)
            and (self.providers is None or collection_id.partition(":")[0] in self.providers)
        )

    def parameters(self) -> tuple[Any, Any, Any]:
        """(sync ids, providers, collection ids) as statements take them."""
        return self.sync_ids, self.providers, self.collection_ids


def _values(given: str | Sequence[str]) -> tuple[str, ...] | None:
    if isinstance(given, str):
        return None if given == "*" else (given,)
    return tuple(given)
