"""Which list, or which object of it, a path names."""

from dataclasses import dataclass
from functools import cache

from headrace.testing.github.catalog import RESOURCES, Resource


@dataclass(frozen=True, slots=True)
class Route:
    """A list (`one` None) or one object of it. `under` is how the path names the parent."""

    resource: Resource
    under: str | None = None
    one: str | None = None


@cache
def _templates(scope: str) -> tuple[tuple[tuple[str, ...], Resource], ...]:
    """Of a scope's resources, those with more fixed segments first: `issues/comments` is no issue `comments`."""
    found = [(resource.template, resource) for resource in RESOURCES.values() if resource.scope == scope]
    return tuple(sorted(found, key=lambda pair: -sum(part != "{}" for part in pair[0])))


def route(scope: str, segments: list[str]) -> Route | None:
    """The route of a path below a repository or organisation; None where there is none."""
    for resource in RESOURCES.values():
        if resource.scope == scope and resource.single == "/".join(segments[:-1]):
            return Route(resource, None, segments[-1])
    for template, resource in _templates(scope):
        if len(segments) not in (len(template), len(template) + 1):
            continue
        if any(part not in ("{}", given) for part, given in zip(template, segments, strict=False)):
            continue
        under = next((given for part, given in zip(template, segments, strict=False) if part == "{}"), None)
        if len(segments) == len(template):
            return Route(resource, under)
        if resource.one is not None:
            return Route(resource, under, segments[-1])
    return None
