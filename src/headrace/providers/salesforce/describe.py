"""What an org has: its objects as `describe` tells them, as far as reading them needs it.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest (Describe Global, sObject Describe),
https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/field_types.htm (field types),
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta (what bulk queries cannot carry).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from headrace.providers.kit import Context, Cursor, Discovered, Found, Request
from headrace.providers.kit.rows import list_in
from headrace.providers.salesforce.access import document, passing, path

AT_ONCE = 10
"""Objects described by one page of the search."""

_COMPOUND = frozenset({"address", "location"})
"""Their parts are fields of their own; a bulk query cannot carry the whole."""
_BINARY = "base64"
_SHAPELESS = frozenset({"anyType", "complexvalue", "json"})
"""Types whose JSON cannot be told from the text of a CSV cell."""

STANDARD = (
    "Account", "Asset", "Campaign", "CampaignMember", "Case", "CaseComment", "CaseStatus", "Contact",
    "ContentDocument", "ContentDocumentLink", "ContentVersion", "Contract", "EmailMessage", "Event", "FeedItem",
    "Group", "Lead", "Opportunity", "OpportunityContactRole", "OpportunityHistory", "OpportunityLineItem",
    "OpportunityStage", "Order", "OrderItem", "Pricebook2", "PricebookEntry", "Product2", "Profile", "Quote",
    "QuoteLineItem", "RecordType", "Task", "User", "UserRole",
)  # fmt: skip
"""The objects whose collections are declared whether an org has them or not."""

_UNSOFT = frozenset({"CaseStatus", "Group", "OpportunityStage", "Profile", "RecordType", "User", "UserRole"})
"""Of these, those without a recycle bin, and without a log of deletions until a describe says otherwise."""

_RESTRICTED = frozenset(
    (
        "Announcement", "AppTabMember", "CollaborationGroupRecord", "ColorDefinition", "ContentFolderItem",
        "ContentFolderMember", "DataStatistics", "DatacloudDandBCompany", "EntityParticle", "FieldDefinition",
        "FlexQueueItem", "FlowVariableView", "FlowVersionView", "IconDefinition", "IdeaComment",
        "OwnerChangeOptionInfo", "PicklistValueInfo", "PlatformAction", "RelationshipDomain", "RelationshipInfo",
        "SearchLayout", "SiteDetail", "UserEntityAccess", "UserFieldAccess", "Vote",
    )
)  # fmt: skip
"""Said to be queryable, and refused unless one id is asked for: there is no list of them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An object as far as reading it needs it.

    `fields` are (name, type) of those that are read, in the order of the describe; empty: not known, a describe tells.
    `updated` and `created` name the fields of those times that can be filtered by, where there are such. `soft`: rows
    that are deleted stay visible with IsDeleted. `listed`: getDeleted tells of deletions. `sorted_by_id`: the rows can
    be asked for in the order of their ids.
    """

    name: str
    fields: tuple[tuple[str, str], ...] = ()
    updated: str | None = "SystemModstamp"
    created: str | None = "CreatedDate"
    soft: bool = True
    listed: bool = True
    sorted_by_id: bool = True

    @classmethod
    def declared(cls, name: str) -> Self:
        """A standard object before its describe is known."""
        updated = None if name.endswith("History") else "SystemModstamp"
        return cls(name, updated=updated, soft=name not in _UNSOFT, listed=name not in _UNSOFT)

    @classmethod
    def told(cls, describe: Mapping[str, Any]) -> Self:
        """From a describe. Fields that the user may not see are not in it: they are not read."""
        fields = [field for field in list_in(describe, "fields") if _read(field)]
        usable = {field["name"] for field in fields if _usable(field)}
        names = {field["name"] for field in fields}
        return cls(
            str(describe["name"]),
            tuple((str(field["name"]), str(field.get("type", "string"))) for field in fields),
            updated=_first(usable, "SystemModstamp", "LastModifiedDate"),
            created=_first(usable, "CreatedDate", "LoginTime"),
            soft="IsDeleted" in names,
            listed=bool(describe.get("replicateable", True)),
            sorted_by_id="Id" in usable,
        )

    @classmethod
    def found(cls, upstream: Mapping[str, Any]) -> Self:
        """From what `upstream` kept."""
        values = {name: upstream[name] for name in ("updated", "created", "soft", "listed", "sorted_by_id")}
        return cls(upstream["name"], tuple((name, kind) for name, kind in upstream["fields"]), **values)

    def upstream(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "fields": [list(field) for field in self.fields],
            "updated": self.updated,
            "created": self.created,
            "soft": self.soft,
            "listed": self.listed,
            "sorted_by_id": self.sorted_by_id,
        }

    @property
    def collection(self) -> str:
        return collection_id(self.name)

    @property
    def in_bulk(self) -> bool:
        """Whether the JSON of its rows can be made of a bulk query's CSV."""
        return not any(kind in _SHAPELESS for _, kind in self.fields)


def _read(field: Mapping[str, Any]) -> bool:
    return field.get("type") not in _COMPOUND | {_BINARY} and not field.get("deprecatedAndHidden")


def _usable(field: Mapping[str, Any]) -> bool:
    return bool(field.get("filterable", True) and field.get("sortable", True))


def _first(there: Iterable[str], *names: str) -> str | None:
    return next((name for name in names if name in there), None)


_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def collection_id(name: str) -> str:
    """`OpportunityLineItem` → `salesforce:opportunity_line_item`; names with a suffix (`Invoice__c`) are kept."""
    return f"salesforce:{name if '__' in name else _WORDS.sub('_', name).lower()}"


# ───────────────────────────── the search ──────────────────────────────


def discover(ctx: Context, cursor: Cursor | None) -> Discovered:
    """The org's objects, some at a time: custom ones, the standard ones that are declared, and others that can be
    replicated. One that may not be described is left out."""
    if cursor is None:
        answer = yield Request(f"{path(ctx.properties)}/sobjects")
        names = [each["name"] for each in list_in(document(answer), "sobjects") if _wanted(each)]
    else:
        names = cursor["left"]
    found: list[Found] = []
    for name in names[:AT_ONCE]:
        answer = yield describe(ctx, name, accept=(400, 403, 404))
        passing(answer)
        if answer.status < 300:
            found.append(_found({"name": name, **document(answer)}))
    left = names[AT_ONCE:]
    return found, {"left": left} if left else None


def describe(ctx: Context, name: str, accept: tuple[int, ...] = ()) -> Request:
    return Request(f"{path(ctx.properties)}/sobjects/{name}/describe", accept=accept)


def _wanted(listed: Mapping[str, Any]) -> bool:
    name = str(listed["name"])
    if not listed.get("queryable", True) or listed.get("deprecatedAndHidden") or name in _RESTRICTED:
        return False
    if name.endswith(("ChangeEvent", "__e")):
        return False
    return name in STANDARD or bool(listed.get("custom") or "__" in name or listed.get("replicateable", True))


def _found(describe: Mapping[str, Any]) -> Found:
    shape = Shape.told(describe)
    name = str(describe.get("label") or shape.name)
    return Found("", shape.name, name, schema(describe), shape.upstream(), shape.collection)


_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "int": {"type": "integer"},
    "long": {"type": "integer"},
    "double": {"type": "number"},
    "currency": {"type": "number"},
    "percent": {"type": "number"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string"},
    "anyType": {},
    "complexvalue": {},
    "json": {},
}
"""`datetime` has no format: its zone is written +0000, which RFC 3339 does not know."""

_TOLD = (
    "label", "type", "soapType", "length", "precision", "scale", "custom", "calculated", "nillable", "referenceTo",
    "relationshipName", "polymorphicForeignKey", "compoundFieldName",
)  # fmt: skip


def schema(describe: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an object's records, by its describe. Field-level security may take any field away, so none
    but the id is required, and each may be null."""
    properties: dict[str, Any] = {
        "attributes": {
            "type": "object",
            "description": "The kind of the record and its address.",
            "properties": {"type": {"type": "string"}, "url": {"type": "string"}},
        }
    }
    for field in list_in(describe, "fields"):
        if _read(field):
            properties[field["name"]] = _property(field)
    return {"type": "object", "properties": properties, "required": ["Id"]}


def _property(field: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(_TYPES.get(str(field.get("type")), {"type": "string"}))
    if "type" in made and field["name"] != "Id":
        made["type"] = [made["type"], "null"]
    made["title"] = str(field.get("label") or field["name"])
    if field.get("inlineHelpText"):
        made["description"] = str(field["inlineHelpText"])
    made["x-scope"] = "credential" if field.get("custom") else "provider"
    made["x-primary-key"] = field["name"] == "Id"
    made["x-upstream-metadata"] = {name: field[name] for name in _TOLD if field.get(name) not in (None, [], "")}
    return made
