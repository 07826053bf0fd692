"""A credential on its way in: drafted and checked, as far as nobody need be asked. `trying.py` asks the provider.

The steps are apart so that a call which brings a credential along (POST /v1/syncs) can check everything else before
the provider is asked: verifying some tokens spends them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from headrace.api.body import Fields, validated
from headrace.api.fields import UNSET, Id, Metadata, Name
from headrace.api.services import Services
from headrace.db.pool import Conn
from headrace.errors import Invalid, NotFound
from headrace.vault import drafts, oauth_apps
from headrace.vault.drafts import Draft, Kinds


class CredentialCreate(Fields):
    """A credential to import. `properties` hold its `kind`; `provider` follows from it."""

    output_only = frozenset({"id", "kind", "oauth_app", "health", "created_at", "updated_at"})

    properties: dict[str, Any]
    provider: Annotated[str, Field(min_length=1, max_length=63)] = UNSET
    oauth_app_id: Id | None = None
    name: Name | None = None
    metadata: Metadata = UNSET


def kinds_of(services: Services) -> Kinds:
    """The credential kinds of the installed connectors."""
    return Kinds((provider.slug, provider.kinds) for provider in services.providers.values())


def draft(
    services: Services, given: Mapping[str, Any] | CredentialCreate, *, provider: str | None = None, prefix: str = ""
) -> Draft:
    """The draft of what was given, as POST /v1/credentials takes it. Raises Invalid with every reason.

    `provider` is the one that it must be for, where it is part of another object; `prefix` (`credential.`) then leads
    to it in the names of fields.
    """
    with within(prefix):
        body = given if isinstance(given, CredentialCreate) else validated(CredentialCreate, given)
        if provider is not None and body.provider not in (None, provider):
            raise Invalid({"provider": [f"must be {provider}, or left out"]})
        read = drafts.read(
            kinds_of(services),
            body.properties,
            provider=provider or body.provider,
            allow_base_url=services.settings.allow_base_url,
        )
        if read.kind.needs_oauth_app and body.oauth_app_id is None:
            raise Invalid({"oauth_app_id": [f"is required: {read.kind.kind} credentials are refreshed through an app"]})
    return replace(read, oauth_app_id=body.oauth_app_id, name=body.name, metadata=body.metadata)


async def check_app(conn: Conn, org_id: UUID, draft: Draft, *, prefix: str = "") -> None:
    """Raises Invalid when the draft's OAuth app is not there, or is another provider's."""
    if draft.oauth_app_id is None:
        return
    with within(prefix):
        try:
            app = await oauth_apps.get(conn, org_id, draft.oauth_app_id)
        except NotFound as missing:
            raise Invalid({"oauth_app_id": [missing.summary]}) from None
        if app.provider != draft.provider:
            raise Invalid({"oauth_app_id": [f"is an app of {app.provider}, and the credential of {draft.provider}"]})


@contextmanager
def within(prefix: str) -> Iterator[None]:
    """Let the names of fields in an Invalid that is raised inside begin with `prefix`."""
    try:
        yield
    except Invalid as error:
        raise Invalid({f"{prefix}{field}": reasons for field, reasons in error.errors.items()}) from None
