"""A mutator that keeps changing the portal, as those who work in it do."""

from headrace.testing import mutator
from headrace.testing.hubspot.population import Population
from headrace.testing.hubspot.portal import Portal


class Mutator(mutator.Mutator):
    """Births (3 in 10), changes (3), associations (1), archivings (1); rarer: submissions and messages, merges,
    restorations, erasures."""

    def __init__(self, portal: Portal, population: Population, seed: int, changes_per_s: float = 0.0) -> None:
        super().__init__(seed, changes_per_s)
        self.secretive = True
        """Whether there are erasures, and calculated values: no reading of changes tells of them."""
        self._portal = portal
        self._population = population

    def change(self, kind: str | None = None) -> None:
        """One change, of that type or of any."""
        dice, portal = self.dice, self._portal
        if kind is None and dice.random() < 0.1:
            self._communicate()
            return
        name = kind or dice.choice([*portal.kinds])
        alive = [thing.id for thing in portal.alive(name)]
        roll = dice.random()
        if roll < 0.3 or len(alive) < 2:
            portal.create(name, self._population.values(name, dice))
        elif roll < 0.6:
            portal.update(name, dice.choice(alive), self._population.values(name, dice))
        elif roll < 0.7:
            self._associate()
        elif roll < 0.8:
            portal.archive(name, dice.choice(alive))
        elif roll < 0.85:
            portal.merge(name, *dice.sample(alive, 2))
        elif roll < 0.9:
            gone = [thing.id for thing in portal.kinds[name].things.values() if thing.archived_at is not None]
            if gone:
                portal.restore(name, dice.choice(gone))
        elif not self.secretive:
            return
        elif roll < 0.95:
            portal.calculate(name, dice.choice(alive), str(dice.randrange(100)))
        else:
            portal.erase(name, dice.choice(alive))

    def _communicate(self) -> None:
        """A form is filled in, or something is said in a thread."""
        text = f"text {self.dice.randrange(10**6)}"
        if self.dice.random() < 0.5:
            self._portal.submit(self.dice.choice(self._portal.others["forms"])["id"], text)
        else:
            self._portal.say(self.dice.choice(self._portal.others["threads"])["id"], text)

    def _associate(self) -> None:
        contacts, companies = ([thing.id for thing in self._portal.alive(kind)] for kind in ("contacts", "companies"))
        if contacts and companies:
            how = self._portal.associate if self.dice.random() < 0.6 else self._portal.dissociate
            how("contacts", self.dice.choice(contacts), "companies", self.dice.choice(companies))
