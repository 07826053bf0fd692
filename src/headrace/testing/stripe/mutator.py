"""A mutator that keeps changing the account, as customers and their owners do."""

from typing import Any

from headrace.testing import mutator
from headrace.testing.stripe.account import Account, NotAllowed
from headrace.testing.stripe.catalog import ACTIONS, RESOURCES

_TRIES = 20


class Mutator(mutator.Mutator):
    """Creates, updates and deletes in the proportions of a living account; what it does next is decided by the seed.

    `changes_per_s` may be set at any time; 0 rests.
    """

    def __init__(self, account: Account, seed: int, changes_per_s: float = 0.0) -> None:
        super().__init__(seed, changes_per_s)
        self._account = account
        self._names = [name for name, resource in RESOURCES.items() if resource.writes and resource.weight > 0]
        self._weights = [RESOURCES[name].weight for name in self._names]

    def change(self) -> None:
        """One change: a birth (4 in 10), an update or a verb (5), a deletion (1); none where nothing can change."""
        for _ in range(_TRIES):
            name = self.dice.choices(self._names, self._weights)[0]
            roll = self.dice.random()
            if roll < 0.4 and "create" in RESOURCES[name].writes:
                self._account.create(name, self._made(name))
                return
            if (held := self._any(name)) is None:
                continue
            if roll < 0.9 and "update" in RESOURCES[name].writes:
                self._account.update(name, held, self._changed(name))
                return
            if "delete" in RESOURCES[name].writes:
                try:
                    self._account.delete(name, held)
                except NotAllowed:
                    continue
                return

    def _any(self, collection: str) -> str | None:
        """The id of an object that is there, younger ones more often: they are those that change."""
        store = self._account.store(collection)
        for _ in range(_TRIES):
            if store.end == 0:
                return None
            ordinal = store.end - 1 - int(store.end * self.dice.random() ** 2)
            if ordinal not in store.gone:
                return self._account.id_of(collection, ordinal)
        return None

    def _made(self, collection: str) -> dict[str, Any]:
        return {"metadata": {"made_by": "mutator", "turn": str(self._account.changes)}}

    def _changed(self, collection: str) -> dict[str, Any]:
        verbs = [fields for (name, _), fields in ACTIONS.items() if name == collection]
        if verbs and self.dice.random() < 0.3:
            return dict(self.dice.choice(verbs))
        return {"metadata": {"turn": str(self._account.changes), "score": str(self.dice.randrange(1000))}}
