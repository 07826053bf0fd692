"""What is read with every request, kept for less than a second: a revoked token, a deleted consumer and a changed sync
take effect within that second in every process, and at once in the one that made the change."""

import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LIFE_S = 0.9
_MOST = 10_000


class Brief(Generic[K, V]):
    """Values by key, each as old as the moment before it was asked for."""

    def __init__(self, life_s: float = LIFE_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._life_s = life_s
        self._monotonic = monotonic
        self._kept: dict[K, tuple[V, float]] = {}
        self._forgotten = 0

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """The value that is kept, or what `load` returns; what it raises is not kept."""

        async def load_one(_missing: Collection[K]) -> Mapping[K, V]:
            return {key: await load()}

        return (await self.get_many((key,), load_one))[key]

    async def get_many(
        self, keys: Collection[K], load: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]
    ) -> Mapping[K, V]:
        """The values of `keys`; `load` is asked for those that are not kept, and may leave out what is not there."""
        asked = self._monotonic()
        found: dict[K, V] = {}
        for key in keys:
            held = self._kept.get(key)
            if held is not None and asked - held[1] < self._life_s:
                found[key] = held[0]
        if len(found) == len(keys):
            return found
        before = self._forgotten
        loaded = await load([key for key in keys if key not in found])
        if self._forgotten == before:  # else it may have been read before the change
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept.update((key, (value, asked)) for key, value in loaded.items())
        return {**found, **loaded}

    def forget(self) -> None:
        """Keep nothing of what was read until now. Call it after the commit of a change."""
        self._forgotten += 1
        self._kept.clear()
