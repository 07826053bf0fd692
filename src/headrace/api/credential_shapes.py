"""The shapes of credentials, OAuth apps, providers and collections, for the OpenAPI document."""

from typing import Any, Literal

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
