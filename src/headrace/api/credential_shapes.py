"""The shapes of credentials, OAuth apps, providers and collections, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import Field

from headrace.api.shapes import Shape

HealthStatus = Literal["ok", "warn", "error"]


class CredentialHealth(Shape):
    status: HealthStatus
    notes: list[str]
    time: str


class OAuthAppObject(Shape):
    id: str
    provider: str
    name: str
    client_id: str
    client_secret: str
    private_key: str | None = None
    app_id: str | None = None
    base_url: str | None = None
    redirect_uris: list[str]
    metadata: dict[str, Any]
    health: CredentialHealth
    created_at: str
    updated_at: str


class OAuthApps(Shape):
    data: list[OAuthAppObject]
    next_cursor: str | None


class PlatformApp(Shape):
    """No app of one's own."""

    kind: Literal["sequin"]


class CredentialObject(Shape):
    id: str
    provider: str
    kind: str
    name: str | None
    properties: dict[str, Any]
    oauth_app_id: str | None
    oauth_app: OAuthAppObject | PlatformApp
    metadata: dict[str, Any]
    health: CredentialHealth
    created_at: str
    updated_at: str


class Credentials(Shape):
    data: list[CredentialObject]
    next_cursor: str | None


class KindObject(Shape):
    kind: str
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of the properties, without `kind`.")
    secret: list[str] = Field(description="The properties that are secret.")
    needs_oauth_app: bool


class ProviderCollection(Shape):
    id: str
    name: str
    incremental: bool = Field(description="Changes are found without comparing everything.")
    deletes: Literal["feed", "list", "flag", "parent", "sweep", "never"] = Field(
        description="How a delete is found: by the change feed, a list of deletions, a flag, the parent, or a full "
        "comparison; never where the provider deletes nothing."
    )
    webhooks: bool = Field(description="Webhooks make it faster.")
    write: list[Literal["create", "update", "delete"]]


class ProviderRateLimit(Shape):
    allowed_requests: int
    interval: int
    max_concurrent_requests: int


class ProviderObject(Shape):
    slug: str
    name: str
    available: bool = Field(description="Its connector is installed here.")
    kinds: list[KindObject]
    collections: list[ProviderCollection] = Field(description="The fixed ones, which every account has.")
    discovers_collections: bool = Field(description="Accounts have collections of their own.")
    default_rate_limit: ProviderRateLimit | None = Field(description="Of a sync that sets none.")
    test_rate_limit: ProviderRateLimit | None = Field(description="The same for a test account.")


class Providers(Shape):
    data: list[ProviderObject]
    next_cursor: str | None


class FieldObject(Shape):
    id: str
    name: str
    accessor: str
    type: str
    primary_key: bool


class CollectionObject(Shape):
    id: str
    name: str
    upstream_id: str
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of a record's `data`.")
    fields_: list[FieldObject] = Field(alias="fields")


class Collections(Shape):
    data: list[CollectionObject]
    next_cursor: str | None


class RefreshObject(Shape):
    credential_id: str
    last_started_at: str | None
    last_succeeded_at: str | None
    status: Literal["processing", "succeeded", "failed"]
    error: dict[str, Any] | None


class Started(Shape):
    start_url: str = Field(description="Where the person's browser is to go: good once, for five minutes.")


class ConnectedCredential(Shape):
    oauth_app_id: str
    properties: dict[str, Any] = Field(description="With the secrets: as POST /v1/credentials takes them.")


class Connected(Shape):
    credential: ConnectedCredential
    state: Any = Field(description="What start-auth was given.")
