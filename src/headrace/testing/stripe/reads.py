"""Reads: one object by id, what is left of a deleted one, and references expanded into objects."""

from collections.abc import Iterable
from typing import Any

import orjson

from headrace.testing.stripe import answers
from headrace.testing.stripe.account import Account
from headrace.testing.stripe.catalog import CHILDREN, RESOURCES
from headrace.testing.stripe.resources import Resource

_DEPTH = 4
"""docs.stripe.com/api/expanding_objects: at most four levels."""


def retrieve(account: Account, resource: Resource, object_id: str, parent_id: str | None = None) -> bytes:
    """The object's JSON; of a deleted customer the stub with `deleted: true`, of a detached payment method the object
    without its customer. Raises StripeError (404)."""
    ordinal = account.ordinal(resource.name, object_id)
    if ordinal is None:
        raise answers.missing(resource.object, object_id)
    if parent_id is not None and resource.child is not None:
        owner = account.id_of(resource.child.parent, account.parent(resource.name, ordinal))
        if owner != parent_id:
            raise answers.missing(resource.object, object_id)
    if account.reachable(resource.name, ordinal):
        return account.raw(resource.name, ordinal)
    match resource.leaves:
        case "stub":
            return orjson.dumps({"id": object_id, "object": resource.object, "deleted": True})
        case "object":
            return orjson.dumps(orjson.loads(account.raw(resource.name, ordinal)) | {"customer": None})
        case _:
            raise answers.missing(resource.object, object_id)


def parent_ordinal(account: Account, resource: Resource, parent_id: str) -> int:
    """The ordinal of the parent whose children are listed. Raises StripeError (404)."""
    if resource.child is None:
        raise answers.missing("object", parent_id)
    name = resource.child.parent
    ordinal = account.ordinal(name, parent_id)
    if ordinal is None or not account.reachable(name, ordinal):
        raise answers.missing(RESOURCES[name].object, parent_id)
    return ordinal


def expanded(account: Account, body: bytes, paths: Iterable[str]) -> bytes:
    """The body with the references at these paths (`customer`, `data.customer`) in place of their ids."""
    tree = orjson.loads(body)
    for path in paths:
        parts = path.split(".")
        if len([part for part in parts if part != "data"]) > _DEPTH:
            raise answers.StripeError(400, "You cannot expand more than 4 levels of a property.", param="expand")
        _expand(account, tree, parts)
    return orjson.dumps(tree)


def _expand(account: Account, at: Any, parts: list[str]) -> None:
    if isinstance(at, list):
        for each in at:
            _expand(account, each, parts)
        return
    if not isinstance(at, dict):
        return
    if parts[0] not in at and (listed := _includable(account, at, parts[0])) is not None:
        at[parts[0]] = listed
    if parts[0] not in at:
        return
    if isinstance(at[parts[0]], str):
        at[parts[0]] = _found(account, at[parts[0]])
    if len(parts) > 1:
        _expand(account, at[parts[0]], parts[1:])


def _found(account: Account, object_id: str) -> Any:
    for resource in RESOURCES.values():
        if resource.prefix and object_id.startswith(resource.prefix):
            ordinal = account.ordinal(resource.name, object_id)
            if ordinal is not None:
                return orjson.loads(retrieve(account, resource, object_id))
    return object_id


def _includable(account: Account, at: dict[str, Any], name: str) -> Any:
    """A list of children that an object carries only when asked to: a customer's tax ids, a session's line items."""
    for parent in RESOURCES.values():
        if parent.object != at.get("object"):
            continue
        for resource in CHILDREN[parent.name]:
            ordinal = account.ordinal(parent.name, at["id"])
            if resource.child is not None and resource.child.expand == name and ordinal is not None:
                return orjson.loads(account.sublist(resource, ordinal))
    return None
