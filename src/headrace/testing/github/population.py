"""Fills a world with as many objects as are asked for, the same ones for the same seed."""

import random
from collections.abc import Mapping

from headrace.testing.github.catalog import RESOURCES
from headrace.testing.github.world import World

_OWNED_BY = {"issue_comment": "issue", "review_comment": "pull_request"}


def spread(records: int) -> dict[str, int]:
    """How many of each resource make `records` in all, in proportion to their weights; at least one of each, as far as
    there are enough. A pull request counts as two: it is an issue as well."""
    total = sum(resource.weight for resource in RESOURCES.values()) + RESOURCES["pull_request"].weight
    counts = {name: int(records * resource.weight / total) for name, resource in RESOURCES.items()}
    for name in RESOURCES:
        if counts[name] == 0 and sum(counts.values()) + counts["pull_request"] < records:
            counts[name] = 1
    counts["issue"] += max(0, records - sum(counts.values()) - counts["pull_request"])
    return counts


def populate(world: World, records: int | Mapping[str, int], seed: int, now: float, span_s: float) -> None:
    """Make the objects, born one after another over the span that ends now. Raises ValueError for a resource that is
    none."""
    counts = spread(records) if isinstance(records, int) else dict(records)
    if strangers := counts.keys() - RESOURCES.keys():
        raise ValueError(f"no collection {sorted(strangers)[0]!r} here; there are {', '.join(RESOURCES)}")
    dice = random.Random(f"population {seed}")
    repositories = list(world.repositories)
    for name, resource in RESOURCES.items():
        count = counts.get(name, 0)
        above = resource.parent or _OWNED_BY.get(name)
        for number in range(count):
            at = now - span_s + span_s * (number + 1) / (count + 1)
            repository = None if resource.scope == "organization" else dice.choice(repositories)
            under = _parent(world, above, repository, dice)
            if resource.parent is not None and under is None:
                repository, under = _anywhere(world, resource.parent, repositories)
            if resource.parent is None or under is not None:
                world.create(name, repository, under, at=at)


def _parent(world: World, above: str | None, repository: int | None, dice: random.Random) -> int | None:
    if above is None:
        return None
    keys = list(world.place(above, repository).things[above])
    return dice.choice(keys) if keys else None


def _anywhere(world: World, above: str, repositories: list[int]) -> tuple[int | None, int | None]:
    """Some parent, wherever there is one."""
    for repository in repositories:
        for key in world.place(above, repository).things[above]:
            return repository, key
    return None, None
