"""From a path to what stands there."""

from dataclasses import dataclass
from typing import Literal

from headrace.testing.stripe.catalog import ACTIONS, RESOURCES
from headrace.testing.stripe.resources import Resource

Kind = Literal["list", "object", "action", "account", "events", "event"]


@dataclass(frozen=True, slots=True)
class Route:
    """`template` is the path with ids left out: what the limit of an endpoint counts. `parent_id` is set under a
    parent, `object_id` where one object is meant, `action` for a verb on it."""

    kind: Kind
    template: str
    resource: Resource | None = None
    object_id: str = ""
    parent_id: str | None = None
    action: str = ""


_LISTS: dict[tuple[str, ...], Resource] = {
    tuple(resource.path.strip("/").split("/")): resource for resource in RESOURCES.values() if resource.path
}
_NESTED: dict[tuple[str, ...], Resource] = {
    tuple(part for part in resource.child.path.strip("/").split("/") if part != "{}"): resource
    for resource in RESOURCES.values()
    if resource.child and "?" not in resource.child.path
}
_DETACH = {"detach": "payment_methods"}


def route(segments: list[str]) -> Route | None:
    """The route of a path's decoded segments, None where Stripe has nothing."""
    path = tuple(segments)
    if path == ("v1", "account"):
        return Route("account", "/v1/account")
    if path[:2] == ("v1", "events") and len(path) in (2, 3):
        return Route("events", "/v1/events") if len(path) == 2 else Route("event", "/v1/events/:id", object_id=path[2])
    if path in _LISTS:
        return Route("list", "/" + "/".join(path), _LISTS[path])
    for length in (2, 3):
        found = _under(path, length)
        if found is not None:
            return found
    return None


def _under(path: tuple[str, ...], length: int) -> Route | None:
    """What stands under the list of `length` segments: one object, a verb on it, its children, one of these."""
    head, rest = path[:length], path[length:]
    resource = _LISTS.get(head)
    if resource is None or not rest:
        return None
    template = "/" + "/".join(head) + "/:id"
    if len(rest) == 1:
        return Route("object", template, resource, rest[0])
    child = _NESTED.get((*head, rest[1]))
    if child is not None and len(rest) == 2:
        return Route("list", f"{template}/{rest[1]}", child, parent_id=rest[0])
    if child is not None and len(rest) == 3:
        return Route("object", f"{template}/{rest[1]}/:id", child, rest[2], rest[0])
    if len(rest) == 2 and ((resource.name, rest[1]) in ACTIONS or _DETACH.get(rest[1]) == resource.name):
        return Route("action", f"{template}/{rest[1]}", resource, rest[0], action=rest[1])
    return None
