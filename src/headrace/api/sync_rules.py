"""The rules of a sync's fields for which something must be looked up: provider, collections, credential."""

from collections.abc import Sequence
from uuid import UUID

from headrace.api import importing
from headrace.api.services import Services
from headrace.api.sync_fields import SyncCreate
from headrace.db.pool import Conn
from headrace.errors import Invalid, NotFound
from headrace.providers import readable
from headrace.vault import credentials
from headrace.vault.credentials import Credential
from headrace.vault.drafts import Draft


def check_create(services: Services, body: SyncCreate) -> Draft | None:
    """Raises Invalid with every reason; returns the inline credential, if one is given: valid, not yet verified."""
    errors: dict[str, list[str]] = {}
    given = body.model_fields_set & {"credential", "credential_id"}
    if len(given) != 1:
        errors.update({name: ["give exactly one of credential and credential_id"] for name in given or {"credential"}})
    available = sorted(slug for slug, provider in services.providers.items() if readable(provider))
    if body.provider not in available:
        raise Invalid({**errors, "provider": [f"cannot be read here; there are: {', '.join(available)}"]})
    draft: Draft | None = None
    try:
        check_collections(services, body.provider, body.collection_ids)
    except Invalid as refused:
        errors |= refused.errors
    try:
        if given == {"credential"}:
            draft = importing.draft(services, body.credential, provider=body.provider, prefix="credential.")
    except Invalid as refused:
        errors |= refused.errors
    if errors:
        raise Invalid(errors)
    return draft


def check_collections(services: Services, slug: str, collection_ids: Sequence[str]) -> None:
    """Raises Invalid for an id that the provider has not. Where collections are an account's own (tables, custom
    objects), any id of the provider's form will do: what the account lacks shows in the sync's health."""
    provider = services.providers.get(slug)
    if provider is None:
        raise Invalid({"collection_ids": [f"cannot be checked: the connector for '{slug}' is not installed here"]})
    unknown = [
        id_
        for id_ in collection_ids
        if provider.collection(id_) is None and not (provider.discovery and id_.startswith(f"{slug}:"))
    ]
    if unknown:
        named = ", ".join(id_[:100] for id_ in unknown[:10])
        raise Invalid({"collection_ids": [f"not of {slug}: {named}; GET /v1/providers/{slug} names them all"]})


async def named_credential(conn: Conn, org_id: UUID, credential_id: UUID, provider: str) -> Credential:
    """The credential that a body names. Raises Invalid when there is none, or it is another provider's."""
    try:
        credential = await credentials.get(conn, org_id, credential_id)
    except NotFound:
        raise Invalid({"credential_id": ["names no credential; list them with GET /v1/credentials"]}) from None
    if credential.provider != provider:
        raise Invalid({"credential_id": [f"is of {credential.provider}, and the sync of {provider}"]})
    return credential
