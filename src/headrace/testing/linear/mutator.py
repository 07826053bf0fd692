"""A mutator that keeps changing the workspace, as those who work in it do."""

import asyncio
import random

from headrace.testing.linear.world import KINDS, World

_TICK_S = 0.02
_TRIES = 20


class Mutator:
    """Creates, updates, archives and purges; what it does next is decided by the seed. `changes_per_s` may be set at
    any time. What has a trash goes there; the rest is purged."""

    def __init__(self, world: World, seed: int, changes_per_s: float = 0.0) -> None:
        self.changes_per_s = changes_per_s
        self._world = world
        self._dice = random.Random(f"mutator {seed}")
        self._names = list(KINDS)
        self._weights = [20 if name in ("issue", "comment") else 1 for name in KINDS]

    async def run(self) -> None:
        """Change the workspace until cancelled, keeping the rate over any longer stretch."""
        loop = asyncio.get_running_loop()
        due, last = 0.0, loop.time()
        while True:
            await asyncio.sleep(_TICK_S)
            now = loop.time()
            due += self.changes_per_s * (now - last)
            last = now
            while due >= 1:
                due -= 1
                self.change()

    def change(self) -> None:
        """One change: a birth (4 in 10), an update (4), the archive or trash (1), or the end (1)."""
        for _ in range(_TRIES):
            name = self._dice.choices(self._names, self._weights)[0]
            roll = self._dice.random()
            if roll < 0.4:
                self._world.create(name)
                return
            keys = list(self._world.things[name])
            if not keys:
                continue
            key = self._dice.choice(keys)
            if roll < 0.8:
                self._world.update(name, key, archivedAt=None)
            elif roll < 0.9 or KINDS[name].kept or KINDS[name].trashed:
                self._world.archive(name, key, trashed=True)
            else:
                self._world.purge(name, key)
            return
