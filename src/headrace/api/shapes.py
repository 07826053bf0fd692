"""The shapes of answers, for the OpenAPI document. Routes render their answers; a test holds both together."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_ID = Field(json_schema_extra={"format": "uuid"})
_TIME = Field(json_schema_extra={"format": "date-time"})


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(Shape):
    """What went wrong and what to do next."""

    summary: str


class ValidationProblem(Problem):
    validation_errors: dict[str, list[str]] = Field(description="Reasons by field; nested fields have dotted names.")


_WHY = {
    400: "The body is not a JSON object, or a query parameter is wrong or unknown",
    401: "No valid API token",
    403: "The token's scope does not reach",
    404: "Not there, or not for this token",
    413: "The body is larger than 4 MiB",
    422: "Fields that do not hold, with the reasons",
    429: "Too many calls; `Retry-After` says when to come back",
    501: "Not there yet, or not installed here",
    502: "The provider failed",
    503: "The database cannot be reached; repeat the call",
    504: "The provider did not answer in time",
}


def also(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors that a route declares beside those that follow from its dependencies: for `responses=`."""
    return {
        status: {"model": ValidationProblem if status == 422 else Problem, "description": _WHY[status]}
        for status in statuses
    }


class Deleted(Shape):
    id: str
    deleted: Literal[True]


class PlannedBackfill(Shape):
    collection_id: str
    requests: int | None = Field(description="null: nobody can know before it was read once.")
    seconds: float | None = Field(description="At the least, at the sync's pace; those of several add up.")
    exact: bool = Field(
        description="The provider has counted just now, and so many it takes; else about so many, by a count or by the "
        "last backfill."
    )


class PlannedPurge(Shape):
    collection_id: str
    records: int


class Plan(Shape):
    """What a call with `dry_run=true` would do."""

    dry_run: Literal[True]
    backfill: list[PlannedBackfill]
    purge: list[PlannedPurge]
    affects: list[str]


class StreamObject(Shape):
    id: str = _ID
    slug: str
    org_id: str = _ID
    event_days: int
    created_at: str = _TIME
    updated_at: str = _TIME


class Streams(Shape):
    data: list[StreamObject]
    next_cursor: str | None


class TokenObject(Shape):
    id: str = _ID
    org_id: str = _ID
    name: str
    scopes: list[Literal["admin", "read", "consume"]]
    stream_ids: list[str] | None = Field(description="null: every stream of the organisation.")
    requests_per_minute: int | None = Field(description="Each process counts for itself; null: no limit.")
    expires_at: str | None
    last_used_at: str | None
    created_at: str = _TIME


class NewToken(TokenObject):
    token: str | None = Field(description="The secret, shown this once; null in a repeated answer.")


class Tokens(Shape):
    data: list[TokenObject]
    next_cursor: str | None


class OrgObject(Shape):
    id: str = _ID
    name: str
    created_at: str = _TIME


class NewOrg(OrgObject):
    api_token: str | None = Field(description="Its first admin token, shown this once; null in a repeated answer.")


class Orgs(Shape):
    data: list[OrgObject]
    next_cursor: str | None


class AuditEntry(Shape):
    id: str = _ID
    token_id: str | None
    token_name: str | None
    method: str
    route: str = Field(description="The template of the path.")
    object_id: str | None
    status: int = Field(description="The HTTP status that was answered.")
    detail: Any
    at: str = _TIME


class AuditEntries(Shape):
    data: list[AuditEntry]
    next_cursor: str | None


class FiltersObject(Shape):
    provider: str | list[str]
    sync_id: str | list[str]
    collection_id: str | list[str]


class ConsumerObject(Shape):
    id: str = _ID
    stream_id: str = _ID
    name: str
    kind: Literal["records", "events"]
    deliver_policy: Literal["all", "new", "last", "1h"]
    ack_wait_ms: int
    max_deliver: int
    max_ack_pending: int
    filters: FiltersObject
    metadata: dict[str, Any]
    created_at: str = _TIME
    updated_at: str = _TIME


class ConsumerHealth(Shape):
    status: Literal["healthy", "warning"]
    notes: list[str]


class ConsumerWithCounts(ConsumerObject):
    num_pending: int = Field(description="Deliverable now and not out; exact up to 10 000, above it an estimate.")
    num_ack_pending: int = Field(description="Out at the moment.")
    num_dead: int = Field(description="Set aside in the dead letters.")
    num_lost: int = Field(description="Events that were dropped undelivered.")
    health: ConsumerHealth


class Consumers(Shape):
    data: list[ConsumerObject]
    next_cursor: str | None


class SyncOfRecord(Shape):
    id: str = _ID
    external_id: str | None
    metadata: dict[str, Any]


class RecordObject(Shape):
    id: str = _ID
    stream_id: str = _ID
    provider: str
    collection_id: str
    sync_id: str = _ID
    sync: SyncOfRecord
    upstream_id: str
    updated_idx: int
    deleted: bool
    upstream_created_at: str | None
    upstream_updated_at: str = _TIME
    inserted_at: str = _TIME
    data: Any = Field(description="The provider's own object, whole.")


class Records(Shape):
    records: list[RecordObject]
    cursor: str = Field(description="Give it as `after_cursor` to read on from here, also where nothing came.")


class EventObject(RecordObject):
    event: Literal["created", "updated", "deleted"]
    event_id: str = _ID
    event_inserted_at: str = _TIME
    changes: dict[str, Any] = Field(description="Of an update: the changed fields with their old values.")
    data: Any = Field(description="The provider's own object, as of then.")


class Events(Shape):
    events: list[EventObject]
    cursor: str = Field(description="Give it as `after_cursor` to read on from here, also where nothing came.")


class Message(Shape):
    """Of a consumer of kind `records` with `record`, of kind `events` with `event`."""

    ack_token: str
    record: RecordObject | None = None
    event: EventObject | None = None


class NextInfo(Shape):
    num_pending: int = Field(
        description="Deliverable now and not out; exact up to 10 000, above it an estimate. Where a filter lets little "
        "of a long backlog through, so that counting takes more than 50 ms, it may be behind by what came since, for "
        "twenty times as long as the count took; the consumer itself, when it is read, is counted anew."
    )
    num_ack_pending: int


class Messages(Shape):
    data: list[Message]
    info: NextInfo


class DeadLetter(Shape):
    """A message that was set aside: the record as it stands now, and the version that was set aside; or the event."""

    record: RecordObject | None = None
    event: EventObject | None = None
    updated_idx: int
    deliveries: int
    reason: str | None
    dead_at: str = _TIME


class DeadLetters(Shape):
    data: list[DeadLetter]
    next_cursor: str | None


class Replayed(Shape):
    replayed: int = Field(description="How many are delivered again.")


class HealthObject(Shape):
    status: Literal["initializing", "healthy", "warning", "error"]
    sync_id: str = _ID
    notes: list[str]
    last_healthy_at: str | None
    erroring_since: str | None
    consecutive_errors: int


class RateLimitObject(Shape):
    allowed_requests: int
    interval: int
    max_concurrent_requests: int


class SyncObject(Shape):
    id: str = _ID
    provider: str
    stream_id: str = _ID
    org_id: str = _ID
    name: str
    status: Literal["active", "disabled"]
    health: HealthObject
    collection_ids: list[str]
    rate_limit: RateLimitObject | None = Field(description="What is in force.")
    credential_id: str = _ID
    credential: dict[str, Any] = Field(description="The credential, its secrets masked.")
    max_age_days: float | None
    sync_frequency: Literal["continuous", "4h"]
    initial_backfill_completed_at: str | None
    external_id: str | None
    max_poll_ms: int
    deleted_retention_days: float | None
    metadata: dict[str, Any]
    created_at: str = _TIME
    updated_at: str = _TIME


class Syncs(Shape):
    data: list[SyncObject]
    next_cursor: str | None


class Level(Shape):
    id: str
    level: str
    through: str | None


class Waited(Shape):
    ok: bool
    collections: list[Level]


class ConfirmedDeletes(Shape):
    deleted: int


class PurgedRecords(Deleted):
    records: int = Field(description="How many were there.")


class WebhookAddress(Shape):
    url: str = Field(description="Give it to the provider. Shown this once.")


class Received(Shape):
    received: Literal[True]


class HeldDeletes(Shape):
    sweep_id: str = _ID
    count: int


class SyncCollection(Shape):
    """How far a collection is. Times are null where nothing is known yet."""

    id: str
    phase: Literal["waiting", "backfill", "live", "purged", "missing"] = Field(
        description="`missing`: the account was not found to have it."
    )
    records: int = Field(description="Held now, deleted ones left out.")
    pages_read: int
    records_read: int
    expected: int | None = Field(description="The total, where the provider tells it.")
    eta_seconds: int | None
    backfill_completed_at: str | None
    last_success_at: str | None
    settled_through: str | None = Field(description="Complete and final up to this moment of the provider's clock.")
    lag_seconds: float | None
    last_error: str | None
    last_sweep_completed_at: str | None
    next_sweep_due_at: str | None
    delete_detection_seconds: int | None = Field(description="The longest that a delete may go unseen.")
    set_aside: int = Field(description="Records that could not be read and are tried again.")
    held_deletes: HeldDeletes | None = Field(description="Deletes that wait for confirm-deletes.")


class SyncCollections(Shape):
    data: list[SyncCollection]
    next_cursor: str | None


class Health(Shape):
    status: Literal["up"]


class DatabaseState(Shape):
    reachable: bool
    note: str | None


class Ready(Shape):
    ready: bool
    role: Literal["all", "api", "worker"]
    database: DatabaseState
    engine: dict[str, Any] | None = Field(description="null in a process without an engine.")
