"""Writes: create, update, delete and verbs, with idempotency keys (docs.stripe.com/api/idempotent_requests)."""

from collections import OrderedDict
from typing import Any

from headrace.testing.exchange import Call, Reply
from headrace.testing.stripe import answers
from headrace.testing.stripe.account import Account, NoSuchObject, NotAllowed
from headrace.testing.stripe.catalog import ACTIONS
from headrace.testing.stripe.events import Cause
from headrace.testing.stripe.forms import nested, typed
from headrace.testing.stripe.resources import Resource
from headrace.testing.stripe.router import Route
from headrace.testing.stripe.shape import variants


class Idempotency:
    """Answers by idempotency key: the same request again gets the same answer and does nothing."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._held: OrderedDict[str, tuple[tuple[str, str, bytes], Reply]] = OrderedDict()

    def replay(self, key: str, call: Call) -> Reply | None:
        """The answer that was given to this key before. Raises StripeError when the request was another."""
        held = self._held.get(key)
        if held is None:
            return None
        if held[0] != (call.method, call.path, call.body):
            raise answers.StripeError(
                400,
                f"Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return held[1].changed(headers=(*held[1].headers, ("Idempotent-Replayed", "true")))

    def keep(self, key: str, call: Call, reply: Reply) -> None:
        self._held[key] = ((call.method, call.path, call.body), reply)
        while len(self._held) > self._size:
            self._held.popitem(last=False)


def write(account: Account, route: Route, call: Call, cause: Cause) -> dict[str, Any]:
    """Do what the request says and return the body of the answer. Raises StripeError."""
    resource = route.resource
    if resource is None:
        raise answers.unrecognized(call.method, call.path)
    try:
        if call.method == "DELETE":
            return _delete(account, resource, route, cause)
        if route.kind == "list":
            return _create(account, resource, route, call, cause)
        if route.kind == "action":
            return _act(account, resource, route, call, cause)
        return _update(account, resource, route, call, cause)
    except NoSuchObject as error:
        raise answers.StripeError(404, str(error), code="resource_missing", param="id") from None
    except NotAllowed as error:
        raise answers.StripeError(400, str(error)) from None


def _may(resource: Resource, verb: str, call: Call) -> None:
    if verb not in resource.writes:
        raise answers.unrecognized(call.method, call.path)


def _create(account: Account, resource: Resource, route: Route, call: Call, cause: Cause) -> dict[str, Any]:
    _may(resource, "create", call)
    shape = variants(resource.shape_name)[0]
    values = nested(call.form)
    if "id" in values:
        raise answers.StripeError(400, "This server gives ids of its own.", code="parameter_unknown", param="id")
    fields = typed(values, {name: _example(value) for name, value in shape.items()})
    children = _items(account, fields.pop("items", None)) or 1
    parent = route.parent_id or fields.get("customer" if resource.name == "payment_methods" else "subscription")
    kept = {name: value for name, value in fields.items() if name in shape}
    _check_references(account, kept)
    return account.create(resource.name, kept, parent=parent, children=children, cause=cause)


def _example(value: Any) -> Any:
    """What a hole of a shape stands for, so that its type is known."""
    if isinstance(value, str) and value.startswith("$"):
        kind = value[1:].partition(":")[0]
        return 0 if kind in ("int",) or kind.startswith("created") else 0.0 if kind == "dec" else "text"
    return value


def _items(account: Account, items: Any) -> list[dict[str, Any]]:
    """The items of a new subscription: a price by id, and how many."""
    made = []
    for item in items or ():
        price, quantity = item.get("price"), int(item.get("quantity", 1))
        made.append({"price": account.get("prices", price), "quantity": quantity} if price else {"quantity": quantity})
    return made


def _check_references(account: Account, fields: dict[str, Any]) -> None:
    for name, collection in (("customer", "customers"), ("product", "products"), ("charge", "charges")):
        named = fields.get(name)
        if isinstance(named, str):
            try:
                account.get(collection, named)
            except NoSuchObject as error:
                raise answers.StripeError(400, str(error), code="resource_missing", param=name) from None


def _update(account: Account, resource: Resource, route: Route, call: Call, cause: Cause) -> dict[str, Any]:
    _may(resource, "update", call)
    held = account.get(resource.name, route.object_id)
    fields = typed(nested(call.form), held)
    kept = {name: value for name, value in fields.items() if name in held}
    if "metadata" in kept and kept["metadata"] is None:
        kept["metadata"] = dict.fromkeys(held["metadata"])
    return account.update(resource.name, route.object_id, kept, cause=cause)


def _delete(account: Account, resource: Resource, route: Route, cause: Cause) -> dict[str, Any]:
    if "delete" not in resource.writes or route.kind != "object":
        raise answers.unrecognized("DELETE", route.template)
    account.delete(resource.name, route.object_id, cause=cause)
    if resource.name == "subscriptions":
        return account.get(resource.name, route.object_id)
    return {"id": route.object_id, "object": resource.object, "deleted": True}


def _act(account: Account, resource: Resource, route: Route, call: Call, cause: Cause) -> dict[str, Any]:
    if route.action == "detach":
        held = account.get(resource.name, route.object_id)
        account.delete(resource.name, route.object_id, cause=cause)
        return {**held, "customer": None}
    fields = ACTIONS[resource.name, route.action]
    return account.update(resource.name, route.object_id, fields, cause=cause)
