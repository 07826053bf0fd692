"""/v1/providers: what can be read, with what kinds of credential."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request

from headrace.api.answers import Json
from headrace.api.auth import StreamRead
from headrace.api.credential_shapes import ProviderObject, Providers
from headrace.api.paging import listed
from headrace.api.services import services_of
from headrace.errors import NotFound
from headrace.providers import SLUGS, readable
from headrace.providers.kit import Collection, CredentialKind, Provider

router = APIRouter(tags=["providers"])


@router.get("/v1/providers", response_model=Providers)
async def list_providers(request: Request, _principal: StreamRead) -> Json:
    """Every provider of the contract, and others that are installed."""
    installed = services_of(request).providers
    slugs = [*SLUGS, *sorted(installed.keys() - set(SLUGS))]
    return listed([_shown(slug, installed.get(slug)) for slug in slugs])


@router.get("/v1/providers/{slug}", response_model=ProviderObject)
async def get_provider(
    request: Request, _principal: StreamRead, slug: Annotated[str, Path(description="Such as stripe.")]
) -> Json:
    """One provider."""
    installed = services_of(request).providers
    if slug not in installed and slug not in SLUGS:
        raise NotFound("There is no such provider. List those there are with GET /v1/providers.")
    return Json(_shown(slug, installed.get(slug)))


def _shown(slug: str, provider: Provider | None) -> dict[str, Any]:
    """`provider` None: one of the contract's whose connector is not installed here. `available`: syncs can be made."""
    if provider is None:
        return {
            "slug": slug,
            "name": slug,
            "available": False,
            "kinds": [],
            "collections": [],
            "discovers_collections": False,
            "default_rate_limit": None,
            "test_rate_limit": None,
        }
    return {
        "slug": slug,
        "name": provider.name,
        "available": readable(provider),
        "kinds": [_kind(kind) for kind in provider.kinds],
        "collections": [_collection(provider, collection) for collection in provider.collections],
        "discovers_collections": provider.discovery is not None,
        "default_rate_limit": _rate_limit(provider, "live"),
        "test_rate_limit": _rate_limit(provider, "test"),
    }


def _kind(kind: CredentialKind) -> dict[str, Any]:
    return {
        "kind": kind.kind,
        "schema": kind.schema,
        "secret": sorted(kind.secret),
        "needs_oauth_app": kind.needs_oauth_app,
    }


def _collection(provider: Provider, collection: Collection) -> dict[str, Any]:
    write = collection.write
    verbs = ("create", "update", "delete")
    return {
        "id": collection.id,
        "name": collection.name,
        "incremental": _incremental(provider, collection),
        "deletes": collection.deletes,
        "webhooks": provider.hook is not None and bool(provider.feeds_of(collection.id)),
        "write": [verb for verb in verbs if write is not None and getattr(write, verb) is not None],
    }


def _incremental(provider: Provider, collection: Collection) -> bool:
    """Whether changes are found without comparing everything: by a feed, by a reading of its own, or with the parent,
    whose children are read again when it has changed."""
    if provider.feeds_of(collection.id) or collection.changes:
        return True
    parent = provider.collection(collection.children.parent) if collection.children is not None else None
    return parent is not None and _incremental(provider, parent)


def _rate_limit(provider: Provider, mode: str) -> dict[str, int]:
    allowed, interval = provider.default_rate_limit(mode)
    return {
        "allowed_requests": allowed,
        "interval": interval,
        "max_concurrent_requests": provider.limits.concurrent,
    }
