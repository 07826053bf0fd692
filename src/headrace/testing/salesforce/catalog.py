"""The objects of the org and their fields, as describe tells them.

Sources: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference (fields of the
standard objects), .../api.meta/api/field_types.htm, and the recorded describe of restforce (spec/fixtures, MIT).
"""

from dataclasses import dataclass, field
from typing import Any

_SOAP = {
    "id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "int": "xsd:int", "double": "xsd:double",
    "currency": "xsd:double", "percent": "xsd:double", "date": "xsd:date", "datetime": "xsd:dateTime",
    "base64": "xsd:base64Binary", "address": "urn:address", "location": "urn:location",
}  # fmt: skip

_UNSORTED = frozenset({"textarea", "base64", "address", "location"})


@dataclass(frozen=True, slots=True)
class Field:
    """A field. `to` are the objects that a reference may point to; `part_of` names the compound field."""

    name: str
    type: str = "string"
    to: tuple[str, ...] = ()
    part_of: str | None = None

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.name.removesuffix("__c").replace("_", " "),
            "type": self.type,
            "soapType": _SOAP.get(self.type, "xsd:string"),
            "length": 18 if self.type in ("id", "reference") else 255,
            "custom": self.name.endswith("__c"),
            "calculated": False,
            "nillable": self.name not in ("Id", "SystemModstamp", "CreatedDate", "IsDeleted"),
            "filterable": self.type not in _UNSORTED,
            "sortable": self.type not in _UNSORTED,
            "deprecatedAndHidden": False,
            "referenceTo": list(self.to),
            "relationshipName": self.name.removesuffix("Id") if self.type == "reference" else None,
            "polymorphicForeignKey": len(self.to) > 1,
            "compoundFieldName": self.part_of,
            "inlineHelpText": None,
            "picklistValues": [],
        }


def reference(name: str, *to: str) -> Field:
    return Field(name, "reference", to)


ID, DELETED = Field("Id", "id"), Field("IsDeleted", "boolean")
BORN = (Field("CreatedDate", "datetime"), reference("CreatedById", "User"))
CHANGED = (
    Field("LastModifiedDate", "datetime"),
    reference("LastModifiedById", "User"),
    Field("SystemModstamp", "datetime"),
)
OWNER = reference("OwnerId", "Group", "User")
"""Polymorphic: a queue or a user."""


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An object: its fields beside those of every record. `soft`: deleted rows lie in the recycle bin. `changes`: rows
    are changed after their birth. `weight` is its share among the records. `needs_id`: a query without a filter by one
    of these fields is refused."""

    name: str
    prefix: str
    own: tuple[Field, ...] = ()
    soft: bool = True
    changes: bool = True
    deletable: bool = True
    replicateable: bool = True
    queryable: bool = True
    weight: int = 1
    needs_id: tuple[str, ...] = ()
    needs_status: bool = False
    extra: tuple[Field, ...] = field(default=())

    @property
    def fields(self) -> tuple[Field, ...]:
        deleted = (DELETED,) if self.soft else ()
        return (ID, *deleted, *self.own, *BORN, *(CHANGED if self.changes else ()), *self.extra)

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")


def _address(prefix: str) -> tuple[Field, ...]:
    whole = f"{prefix}Address"
    parts = (Field(f"{prefix}{part}", part_of=whole) for part in ("Street", "City", "PostalCode", "Country"))
    return (*parts, Field(f"{prefix}Latitude", "double", part_of=whole), Field(whole, "address"))


NAME = Field("Name")
_WIDE = tuple(Field(f"Answer_to_question_{number:03}_of_the_survey__c") for number in range(420))
"""More names than one URI holds."""

OBJECTS: dict[str, ObjectType] = {
    each.name: each
    for each in (
        ObjectType(
            "Account", "001",
            (
                reference("MasterRecordId", "Account"), NAME, Field("Type", "picklist"), *_address("Billing"),
                Field("Phone", "phone"), Field("Website", "url"), Field("AnnualRevenue", "currency"),
                Field("NumberOfEmployees", "int"), Field("Description", "textarea"), OWNER,
                Field("Founded__c", "date"), Field("Score__c", "double"), Field("Opens_At__c", "time"),
            ),
            weight=10,
        ),
        ObjectType(
            "Contact", "003",
            (
                reference("MasterRecordId", "Contact"), reference("AccountId", "Account"), NAME, *_address("Mailing"),
                Field("Email", "email"), Field("HasOptedOutOfEmail", "boolean"), Field("Birthdate", "date"), OWNER,
            ),
            weight=20,
        ),
        ObjectType("Lead", "00Q", (NAME, Field("Company"), Field("IsConverted", "boolean"), OWNER), weight=8),
        ObjectType(
            "Opportunity", "006",
            (
                reference("AccountId", "Account"), NAME, Field("StageName", "picklist"), Field("Amount", "currency"),
                Field("Probability", "percent"), Field("CloseDate", "date"), OWNER,
            ),
            weight=10,
        ),
        ObjectType(
            "OpportunityHistory", "008",
            (reference("OpportunityId", "Opportunity"), Field("StageName", "picklist"), Field("Amount", "currency")),
            changes=False, weight=6,
        ),
        ObjectType("OpportunityStage", "01J", (Field("MasterLabel"), Field("SortOrder", "int")), soft=False, weight=0),
        ObjectType("RecordType", "012", (NAME, Field("SobjectType", "picklist")), soft=False, weight=0),
        ObjectType(
            "User", "005",
            (Field("Username"), NAME, Field("IsActive", "boolean"), Field("LastLoginDate", "datetime")),
            soft=False, deletable=False, weight=1,
        ),
        ObjectType(
            "Case", "500", (reference("AccountId", "Account"), Field("Subject"), Field("Status", "picklist"), OWNER),
            weight=10,
        ),
        ObjectType(
            "Task", "00T",
            (
                reference("WhoId", "Contact", "Lead"), reference("WhatId", "Account", "Case", "Opportunity"),
                Field("Subject", "combobox"), Field("ActivityDate", "date"), Field("IsArchived", "boolean"), OWNER,
            ),
            weight=10,
        ),
        ObjectType("Product2", "01t", (NAME, Field("ProductCode"), Field("IsActive", "boolean")), weight=3),
        ObjectType("ContentDocument", "069", (Field("Title"), Field("FileType")), weight=2),
        ObjectType(
            "ContentVersion", "068",
            (reference("ContentDocumentId", "ContentDocument"), Field("Title"), Field("VersionData", "base64")),
            weight=2,
        ),
        ObjectType(
            "ContentDocumentLink", "06A",
            (
                reference("ContentDocumentId", "ContentDocument"),
                reference("LinkedEntityId", "Account", "Case", "Opportunity"), Field("ShareType", "picklist"),
            ),
            replicateable=False, weight=3, needs_id=("ContentDocumentId", "LinkedEntityId"),
        ),
        ObjectType(
            "Knowledge__kav", "ka0",
            (
                Field("KnowledgeArticleId", "reference"), Field("Title"), Field("PublishStatus", "picklist"),
                Field("Language", "picklist"),
            ),
            weight=2, needs_status=True,
        ),
        ObjectType(
            "Invoice__c", "a00",
            (
                NAME, reference("Account__c", "Account"), Field("Total__c", "currency"), Field("Paid__c", "boolean"),
                Field("Due__c", "date"), Field("Note__c", "textarea"), OWNER,
            ),
            weight=10,
        ),
        ObjectType("Survey__c", "a01", (NAME, *_WIDE), weight=2),
        ObjectType("AccountChangeEvent", "0Xx", (NAME,), queryable=False, weight=0),
        ObjectType("ActivityHistory", "0Xy", (Field("Subject"),), queryable=False, weight=0),
        ObjectType("Vote", "083", (reference("ParentId", "Idea"),), weight=0, needs_id=("ParentId",)),
        ObjectType(
            "Organization", "00D", (NAME, Field("IsSandbox", "boolean")),
            soft=False, replicateable=False, weight=0,
        ),
    )
}  # fmt: skip
"""The objects of a small org: those that differ in how they can be read."""
