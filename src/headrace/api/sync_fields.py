"""What may be said of a sync, field by field (the rules that hold without looking anything up)."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from headrace.api.body import Fields
from headrace.api.fields import UNSET, Distinct, Id, Integer, Metadata, Name, wrong
from headrace.control.syncs import RateLimit

_MOST = 2**31 - 1

Status = Literal["active", "disabled"]
Frequency = Literal["continuous", "4h"]
CollectionIds = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=255)]], Field(min_length=1, max_length=1000), Distinct
]
MaxAgeDays = Annotated[float, Field(gt=0, le=36_500, description="0.5 is twelve hours; null: no limit.")]
RetentionDays = Annotated[float, Field(gt=0, le=36_500, description="null: deleted records are kept.")]
MaxPollMs = Annotated[Integer, Field(ge=500, le=3_600_000, description="The longest pause between two reads.")]
ExternalId = Annotated[str, Field(min_length=1, max_length=255)]


class RateLimitFields(Fields):
    """At most `allowed_requests` in any `interval` of seconds, `max_concurrent_requests` at once (0: no limit)."""

    allowed_requests: Annotated[Integer, Field(ge=1, le=_MOST)]
    interval: Annotated[Integer, Field(ge=1, le=_MOST)]
    max_concurrent_requests: Annotated[Integer, Field(ge=0, le=_MOST)] = 0

    def value(self) -> RateLimit:
        return RateLimit(self.allowed_requests, self.interval, self.max_concurrent_requests)


def _object(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong("must be an object")
    return value


InlineCredential = Annotated[
    dict[str, Any],
    BeforeValidator(_object),
    WithJsonSchema(
        {
            "type": "object",
            "description": "A credential, as POST /v1/credentials takes it.",
            "properties": {
                "properties": {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]},
                "oauth_app_id": {"type": ["string", "null"]},
                "name": {"type": ["string", "null"]},
                "metadata": {"type": "object"},
            },
            "required": ["properties"],
        }
    ),
]


class _SyncFields(Fields):
    output_only = frozenset({"id", "org_id", "health", "initial_backfill_completed_at", "created_at", "updated_at"})


class SyncCreate(_SyncFields):
    """Exactly one of `credential` and `credential_id`. `rate_limit` left out or null: the provider's default."""

    provider: Annotated[str, Field(min_length=1, max_length=63)]
    stream_id: Id
    name: Name
    collection_ids: CollectionIds
    credential: InlineCredential = UNSET
    credential_id: Id = UNSET
    rate_limit: RateLimitFields | None = None
    max_age_days: MaxAgeDays | None = None
    sync_frequency: Frequency = "continuous"
    metadata: Metadata = "{}"
    external_id: ExternalId | None = None
    status: Status = "active"
    max_poll_ms: MaxPollMs = 60_000
    deleted_retention_days: RetentionDays | None = None


class SyncPatch(_SyncFields):
    """Only what is given changes. `rate_limit` null: back to the provider's default."""

    fixed: ClassVar[Mapping[str, str]] = {
        "credential": "cannot be updated; to re-authorise the same account, PATCH the credential's properties",
        "credential_id": "cannot be updated; make another sync for another account",
        "provider": "cannot be updated; make another sync",
        "stream_id": "cannot be updated; make another sync on the other stream",
    }

    name: Name = UNSET
    collection_ids: CollectionIds = UNSET
    rate_limit: RateLimitFields | None = UNSET
    status: Status = UNSET
    max_age_days: MaxAgeDays | None = UNSET
    sync_frequency: Frequency = UNSET
    metadata: Metadata = UNSET
    external_id: ExternalId | None = UNSET
    max_poll_ms: MaxPollMs = UNSET
    deleted_retention_days: RetentionDays | None = UNSET

    def changes(self) -> dict[str, Any]:
        """The given fields in the form that the engine takes."""
        given = self.given()
        if "collection_ids" in given:
            given["collection_ids"] = tuple(self.collection_ids)
        if self.rate_limit is not None:
            given["rate_limit"] = self.rate_limit.value()
        return given
