"""A mutator that keeps changing the bases, as those who work in them do."""

from headrace.testing import mutator
from headrace.testing.airtable.population import Population
from headrace.testing.airtable.world import World


class Mutator(mutator.Mutator):
    """Births (3 in 10), changes (4), deletions (1), restorations (1), comments (1)."""

    def __init__(self, world: World, population: Population, seed: int, changes_per_s: float = 0.0) -> None:
        super().__init__(seed, changes_per_s)
        self._world = world
        self._population = population

    def change(self) -> None:
        dice, world = self.dice, self._world
        base, table = dice.choice(list(world.each_table()))
        rows, roll = [*table.rows], dice.random()
        if roll < 0.3 or len(rows) < 2:
            world.create(base, table, self._population.cells(table, dice))
        elif roll < 0.7:
            emptied = {dice.choice(table.fields[:6]).id: None}
            world.update(base, table, dice.choice(rows), {**self._population.cells(table, dice), **emptied})
        elif roll < 0.8:
            world.delete(base, table, dice.choice(rows))
        elif roll < 0.9 and table.trash:
            world.restore(base, table, dice.choice([*table.trash]))
        else:
            world.comment(table, dice.choice(rows), "and another thing")
