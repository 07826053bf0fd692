"""The control of Stripe's server over HTTP, beside what every provider server has (`headrace.testing.control`).

GET    /_control/account                     the account's id, counts by collection, changes and events so far
GET    /_control/objects/COLLECTION          every object, whole, one a line
GET    /_control/digest/COLLECTION           id and fingerprint, a tab between, one a line
POST   /_control/objects/COLLECTION          {"fields": {…}, "parent": …, "silent": …}: create; the object
POST   /_control/objects/COLLECTION/ID       {"fields": {…}, "silent": …}: update; the object
DELETE /_control/objects/COLLECTION/ID       delete (?silent=1: without an event)
POST   /_control/keys                        {"revoke": KEY}, or {"restrict": KEY, "collections": [NAME, …]}
"""

from typing import TYPE_CHECKING, Any

import orjson

from headrace.testing.control import LINES, lines
from headrace.testing.exchange import Call, Reply
from headrace.testing.stripe.account import NoSuchObject
from headrace.testing.stripe.catalog import RESOURCES
from headrace.testing.stripe.digest import digest

if TYPE_CHECKING:
    from headrace.testing.stripe.server import StripeServer


def add_controls(server: "StripeServer") -> None:
    """Add Stripe's routes to the server's control."""
    account = server.account

    def collection(rest: list[str]) -> str:
        if not rest or rest[0] not in RESOURCES:
            raise ValueError(f"name a collection: {', '.join(RESOURCES)}")
        return rest[0]

    def show(_call: Call, _rest: list[str]) -> Reply:
        counts = {name: account.count(name) for name in account.collections}
        changes = {"changes": account.changes, "events": len(account.events)}
        return Reply.json({"id": account.id, "counts": counts, **changes})

    def objects(_call: Call, rest: list[str]) -> Reply:
        return Reply(body=lines(account.objects(collection(rest))), content_type=LINES)

    def digests(_call: Call, rest: list[str]) -> Reply:
        pairs = digest(account, collection(rest))
        return Reply(body=lines(f"{object_id}\t{mark}".encode() for object_id, mark in pairs), content_type=LINES)

    def change(call: Call, rest: list[str]) -> Reply:
        name = collection(rest)
        said: dict[str, Any] = orjson.loads(call.body or b"{}")
        try:
            if len(rest) == 1:
                return Reply.json(account.create(name, **said), 201)
            return Reply.json(account.update(name, rest[1], said.pop("fields"), **said))
        except NoSuchObject as error:
            return Reply.json({"error": str(error)}, 404)

    def delete(call: Call, rest: list[str]) -> Reply:
        try:
            account.delete(collection(rest), rest[1], silent="silent" in dict(call.query))
        except NoSuchObject as error:
            return Reply.json({"error": str(error)}, 404)
        return Reply(204)

    def keys(call: Call, _rest: list[str]) -> Reply:
        said = orjson.loads(call.body)
        if "revoke" in said:
            server.revoke(said["revoke"])
        if "restrict" in said:
            server.restrict(said["restrict"], said["collections"])
        return Reply(204)

    for method, name, route in (
        ("GET", "account", show),
        ("GET", "objects", objects),
        ("GET", "digest", digests),
        ("POST", "objects", change),
        ("DELETE", "objects", delete),
        ("POST", "keys", keys),
    ):
        server.control.add(method, name, route)
