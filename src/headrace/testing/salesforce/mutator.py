"""A mutator that keeps changing the org, as its users and its automation do."""

from headrace.testing import mutator
from headrace.testing.salesforce.catalog import OBJECTS
from headrace.testing.salesforce.org import Org
from headrace.testing.salesforce.population import Population


class Mutator(mutator.Mutator):
    """Births (3 in 10), changes (4), deletions (2), and now and then automation, a merge, a restoration, a purge."""

    def __init__(self, org: Org, population: Population, seed: int, changes_per_s: float = 0.0) -> None:
        super().__init__(seed, changes_per_s)
        self.only: frozenset[str] = frozenset(name for name, each in OBJECTS.items() if each.weight)
        self.purges = True
        self._org = org
        self._population = population

    def change(self, name: str | None = None) -> None:
        """One change, of that object or of any."""
        kinds = [OBJECTS[each] for each in sorted(self.only)]
        kind = OBJECTS[name] if name else self.dice.choices(kinds, [each.weight for each in kinds])[0]
        alive = [row["Id"] for row in self._org.alive(kind.name)]
        roll = self.dice.random()
        if roll < 0.3 or not alive:
            self._org.create(kind.name, self._population.made(kind.name))
        elif roll < 0.7:
            self._update(kind.name, self.dice.choice(alive))
        elif roll < 0.9:
            if kind.deletable:
                self._org.delete(kind.name, self.dice.choice(alive))
        else:
            self._rarer(kind.name, alive)

    def _update(self, name: str, key: str) -> None:
        if OBJECTS[name].changes:
            made = self._population.made(name)
            changed = {field: value for field, value in made.items() if field not in OBJECTS[name].needs_id}
            chosen = self.dice.sample(sorted(changed), min(3, len(changed)))
            self._org.update(name, key, {field: changed[field] for field in chosen})

    def _rarer(self, name: str, alive: list[str]) -> None:
        kind, table = OBJECTS[name], self._org.tables[name]
        binned = [key for key, row in table.rows.items() if row.get("IsDeleted")]
        roll = self.dice.random()
        if roll < 0.3 and kind.changes:
            self._org.touch(name, self.dice.choice(alive))
        elif roll < 0.5 and "MasterRecordId" in table.fields and len(alive) > 1:
            loser, winner = self.dice.sample(alive, 2)
            self._org.merge(name, loser, winner)
        elif roll < 0.8 and binned and kind.changes and not kind.needs_id:
            self._org.restore(name, self.dice.choice(binned))
        elif binned and self.purges:
            self._org.purge(name, self.dice.choice(binned))
