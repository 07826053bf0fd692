"""A mutator that keeps changing the world, as those who work in it do."""

from headrace.testing import mutator
from headrace.testing.github.catalog import NEVER_DELETED, RESOURCES
from headrace.testing.github.world import World

_TRIES = 20
_ABOVE = {"issue_comment": "issue", "review_comment": "pull_request"}
_CHANGED = {
    "issue": "title",
    "pull_request": "title",
    "issue_comment": "body",
    "review_comment": "body",
    "review": "body",
    "release": "name",
    "label": "color",
    "milestone": "title",
    "workflow_run": "status",
    "deployment": "description",
    "dependabot_alert": "dismissed_comment",
    "code_scanning_alert": "dismissed_comment",
    "secret_scanning_alert": "resolution_comment",
    "team": "description",
    "project": "title",
    "workflow": "name",
    "collaborator": "role_name",
}
"""The field in which an object of each kind is changed; the others are only made and taken away."""


class Mutator(mutator.Mutator):
    """Creates, updates and deletes; what it does next is decided by the seed. `changes_per_s` may be set at any
    time."""

    def __init__(self, world: World, seed: int, changes_per_s: float = 0.0) -> None:
        super().__init__(seed, changes_per_s)
        self._world = world
        self._names = list(RESOURCES)
        self._weights = [resource.weight for resource in RESOURCES.values()]

    def change(self) -> None:
        """One change: a birth (4 in 10), an update (5) or a deletion (1)."""
        for _ in range(_TRIES):
            name = self.dice.choices(self._names, self._weights)[0]
            repository = None
            if RESOURCES[name].scope == "repository":
                repository = self.dice.choice(list(self._world.repositories))
            roll = self.dice.random()
            done = self._create(name, repository) if roll < 0.4 else self._alter(name, repository, delete=roll >= 0.9)
            if done:
                return

    def _create(self, name: str, repository: int | None) -> bool:
        above = RESOURCES[name].parent or _ABOVE.get(name)
        under = self._any(above, repository) if above is not None else None
        if above is not None and under is None:
            return False
        self._world.create(name, repository, under)
        return True

    def _alter(self, name: str, repository: int | None, *, delete: bool) -> bool:
        key = self._any(name, repository)
        if key is None or (delete and (name in NEVER_DELETED or self._is_pull(name, key, repository))):
            return False
        if delete:
            self._world.delete(name, key, repository)
            return True
        if name not in _CHANGED:
            return False
        self._world.update(name, key, repository, **{_CHANGED[name]: f"changed {self.dice.randrange(10**9)}"})
        return True

    def _is_pull(self, name: str, key: int, repository: int | None) -> bool:
        return name == "issue" and "pull_request" in self._world.get(name, key, repository).data

    def _any(self, name: str, repository: int | None) -> int | None:
        keys = list(self._world.place(name, repository).things[name])
        return self.dice.choice(keys) if keys else None
