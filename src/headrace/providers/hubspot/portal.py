"""What a portal has: its CRM objects, standard and custom, with the properties that each was given.

Sources: https://developers.hubspot.com/docs/api-reference (CRM object schemas, properties, object type ids).
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from headrace.providers.kit import Context, Cursor, Discovered, Found, Request, Response
from headrace.providers.kit.rows import decoded, list_in

DENIED = (400, 403, 404)
"""A scope is missing, or the portal does not have the product."""


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A type of CRM object. `path` is its name in addresses; `stamp` the property that tells the last change.
    `properties` are the names of all that it has; empty: not known, the portal is asked."""

    name: str
    path: str
    stamp: str = "hs_lastmodifieddate"
    properties: tuple[str, ...] = ()

    @classmethod
    def found(cls, upstream: Mapping[str, Any]) -> Self:
        return cls(upstream["name"], upstream["path"], upstream["stamp"], tuple(upstream["properties"]))

    @property
    def collection(self) -> str:
        return f"hubspot:{self.name}"


STANDARD = (
    ObjectType("contact", "contacts", "lastmodifieddate"),
    *(
        ObjectType(name, path)
        for name, path in (
            ("call", "calls"),
            ("cart", "carts"),
            ("commerce_payment", "commerce_payments"),
            ("communication", "communications"),
            ("company", "companies"),
            ("deal", "deals"),
            ("email", "emails"),
            ("feedback_submission", "feedback_submissions"),
            ("goal_target", "goal_targets"),
            ("invoice", "invoices"),
            ("lead", "leads"),
            ("line_item", "line_items"),
            ("meeting", "meetings"),
            ("note", "notes"),
            ("order", "orders"),
            ("postal_mail", "postal_mail"),
            ("product", "products"),
            ("quote", "quotes"),
            ("subscription", "subscriptions"),
            ("task", "tasks"),
            ("ticket", "tickets"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Schema:
    """The properties of a type, as the portal describes them."""

    described: list[dict[str, Any]] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(str(each["name"]) for each in self.described))

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the records: every value is a text, or null."""
        properties = {str(each["name"]): _property(each) for each in self.described}
        time = {"type": "string", "format": "date-time"}
        return {
            "type": "object",
            "properties": {
                "id": {"type": "string", "x-primary-key": True},
                "properties": {"type": "object", "properties": properties},
                "createdAt": time,
                "updatedAt": time,
                "archived": {"type": "boolean"},
            },
            "required": ["id"],
        }


_TOLD = ("label", "type", "fieldType", "groupName", "calculated", "hubspotDefined", "options")


def _property(described: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": ["string", "null"],
        "title": str(described.get("label") or described["name"]),
        "description": str(described.get("description") or ""),
        "x-scope": "provider" if described.get("hubspotDefined") else "credential",
        "x-upstream-metadata": {name: described[name] for name in _TOLD if described.get(name) not in (None, "", [])},
    }


def properties_of(path: str) -> Generator[Request, Response, Schema | None]:
    """The properties of a type; None where the credential may not see them."""
    answer = yield Request(f"/crm/v3/properties/{path}", accept=DENIED)
    return Schema(list_in(document(answer), "results")) if answer.status < 300 else None


def discover(ctx: Context, cursor: Cursor | None) -> Discovered:
    """The types of which the credential may see the properties, standard and custom, one a page."""
    if cursor is None:
        answer = yield Request("/crm/v3/schemas", accept=DENIED)
        custom = list_in(document(answer), "results") if answer.status < 300 else []
        types = [[each.name, each.path, each.stamp, ""] for each in STANDARD]
        types += [[each["objectTypeId"], each["objectTypeId"], "hs_lastmodifieddate", _label(each)] for each in custom]
    else:
        types = cursor["left"]
    (name, path, stamp, label), left = types[0], types[1:]
    schema = yield from properties_of(path)
    found: list[Found] = []
    if schema is not None:
        upstream = {"name": name, "path": path, "stamp": stamp, "properties": schema.names}
        found.append(Found("", path, label or name, schema.schema(), upstream, f"hubspot:{name}"))
    return found, {"left": left} if left else None


def _label(custom: Mapping[str, Any]) -> str:
    labels = custom.get("labels") or {}
    return str(labels.get("singular") or custom.get("name") or custom["objectTypeId"])


def document(answer: Response) -> dict[str, Any]:
    """The answer's object; what is none is a transient fault."""
    return decoded(lambda: answer.decode(dict[str, Any]))
