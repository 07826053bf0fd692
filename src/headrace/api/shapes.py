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


class Deleted(Shape):
    id: str
    deleted: Literal[True]


class PlannedBackfill(Shape):
    collection_id: str
    requests: float | None
    seconds: float | None
    exact: bool


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
