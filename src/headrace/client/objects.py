"""The objects of the API, as the JSON gives them: plain dicts, typed. Timestamps are ISO 8601 strings in UTC."""

from typing import Any, Generic, NotRequired, TypedDict, TypeVar

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    data: list[T]
    next_cursor: str | None


class Org(TypedDict):
    id: str
    name: str
    created_at: str


class Stream(TypedDict):
    id: str
    slug: str
    org_id: str
    event_days: int
    created_at: str
    updated_at: str


class RateLimit(TypedDict):
    allowed_requests: int
    interval: int
    """Seconds."""
    max_concurrent_requests: int
    """0: no limit."""


class Health(TypedDict):
    status: str
    """`initializing`, `healthy`, `warning` or `error`; of a credential `ok`, `warn` or `error`."""
    notes: list[Any]
    sync_id: NotRequired[str]
    last_healthy_at: NotRequired[str | None]
    erroring_since: NotRequired[str | None]
    consecutive_errors: NotRequired[int]
    time: NotRequired[str]


class Credential(TypedDict):
    id: str
    provider: str
    kind: str
    name: str | None
    properties: dict[str, Any]
    """Secret ones read back as stars."""
    oauth_app_id: str | None
    oauth_app: dict[str, Any]
    metadata: dict[str, Any]
    health: Health
    created_at: str
    updated_at: str


class OAuthApp(TypedDict):
    id: str
    provider: str
    name: str
    client_id: str
    client_secret: str
    """Reads back as stars."""
    redirect_uris: list[str]
    metadata: dict[str, Any]
    health: Health
    created_at: str
    updated_at: str


class Sync(TypedDict):
    id: str
    provider: str
    stream_id: str
    org_id: str
    name: str
    status: str
    health: Health
    collection_ids: list[str]
    rate_limit: RateLimit
    credential_id: str
    credential: Credential
    max_age_days: float | None
    sync_frequency: str
    max_poll_ms: int
    deleted_retention_days: float | None
    initial_backfill_completed_at: str | None
    external_id: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class Plan(TypedDict):
    """What a change would do: the answer to `dry_run`."""

    dry_run: bool
    backfill: list[dict[str, Any]]
    purge: list[dict[str, Any]]
    affects: list[str]


class Collection(TypedDict):
    id: str
    name: str
    upstream_id: str
    schema: dict[str, Any]
    fields: list[dict[str, Any]]


class Provider(TypedDict):
    slug: str
    name: str


class Consumer(TypedDict):
    id: str
    stream_id: str
    name: str
    kind: str
    deliver_policy: str
    ack_wait_ms: int
    max_deliver: int
    max_ack_pending: int
    filters: dict[str, Any]
    metadata: dict[str, Any]
    num_pending: NotRequired[int]
    num_ack_pending: NotRequired[int]
    num_dead: NotRequired[int]
    num_lost: NotRequired[int]
    created_at: str
    updated_at: str


class Record(TypedDict):
    id: str
    stream_id: str
    provider: str
    collection_id: str
    sync_id: str
    sync: dict[str, Any]
    upstream_id: str
    updated_idx: int
    deleted: bool
    upstream_created_at: str | None
    upstream_updated_at: str
    inserted_at: str
    data: dict[str, Any]
    """The provider's own object, whole."""


class RecordPage(TypedDict):
    records: list[Record]
    cursor: str


class Event(Record):
    """What happened to a record, and the record as of then."""

    event: str
    """`created`, `updated` or `deleted`."""
    event_id: str
    event_inserted_at: str
    changes: dict[str, Any]
    """Of an update: the changed fields with their old values."""


class EventPage(TypedDict):
    events: list[Event]
    cursor: str


class Delivery(TypedDict):
    """With `event` from a consumer of events, else with `record`."""

    ack_token: str
    record: NotRequired[Record]
    event: NotRequired[Event]


class NextInfo(TypedDict):
    num_pending: int
    num_ack_pending: int


class Batch(TypedDict):
    data: list[Delivery]
    info: NextInfo


class ApiToken(TypedDict):
    id: str
    name: str
    scopes: list[str]
    stream_ids: list[str] | None
    expires_at: str | None
    last_used_at: str | None
    token: NotRequired[str]
    """Only in the answer that made it."""


class Deleted(TypedDict):
    id: str
    deleted: bool
