"""A mutator that keeps changing the workspace, as those who work in it do."""

from headrace.testing import mutator
from headrace.testing.linear.world import KINDS, World

_TRIES = 20


class Mutator(mutator.Mutator):
    """Creates, updates, archives and purges; what it does next is decided by the seed. `changes_per_s` may be set at
    any time. What has a trash goes there; the rest is purged."""

    def __init__(self, world: World, seed: int, changes_per_s: float = 0.0) -> None:
        super().__init__(seed, changes_per_s)
        self._world = world
        self._names = list(KINDS)
        self._weights = [20 if name in ("issue", "comment") else 1 for name in KINDS]

    def change(self) -> None:
        """One change: a birth (4 in 10), an update (4), the archive or trash (1), or the end (1)."""
        for _ in range(_TRIES):
            name = self.dice.choices(self._names, self._weights)[0]
            roll = self.dice.random()
            if roll < 0.4 and not KINDS[name].single:
                self._world.create(name)
                return
            keys = list(self._world.things[name])
            if not keys:
                continue
            key = self.dice.choice(keys)
            if roll < 0.8 or KINDS[name].single:
                self._world.update(name, key, archivedAt=None)
            elif roll < 0.9 or KINDS[name].kept or KINDS[name].trashed:
                self._world.archive(name, key, trashed=True)
            else:
                self._world.purge(name, key)
            return
