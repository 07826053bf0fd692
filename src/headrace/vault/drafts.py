"""What a caller gives as a credential, read and checked before anything is asked of a provider or stored.

Verifying a token may spend it (some are exchanged at first use), so everything that can be refused without asking is
refused here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from headrace import jsontext
from headrace.egress import Destinations, EgressRefused
from headrace.errors import Invalid
from headrace.vault.kinds import Account, CredentialKind
from headrace.vault.masking import looks_masked
from headrace.vault.schema import Reasons, reasons

BASE_URL = "base_url"
MOST_BYTES = 64 * 1024
_BASE_URL_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 2048}


@dataclass(frozen=True, slots=True)
class Draft:
    """A credential as it was given, valid and not yet verified.

    `properties` include the secret ones, under their present names, without `kind`. `given` are they as they came,
    where the secret was exchanged meanwhile: by these the credential is found when they are given again. `name` and
    `metadata` (JSON text) None: not given.
    """

    provider: str
    kind: CredentialKind
    properties: Mapping[str, Any] = field(repr=False)
    oauth_app_id: UUID | None = None
    name: str | None = None
    metadata: str | None = None
    given: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the provider said of a credential. `account` None: it was not asked, or did not answer; then `status` is
    `warn` where that should be known, and `notes` say why."""

    account: Account | None
    status: str = "ok"
    notes: tuple[str, ...] = ()


class Kinds:
    """The credential kinds of the installed connectors, by present and older names."""

    def __init__(self, of_providers: Iterable[tuple[str, Iterable[CredentialKind]]]) -> None:
        self._by_name: dict[str, tuple[str, CredentialKind]] = {}
        self._older: dict[str, str] = {}
        for provider, kinds in of_providers:
            for kind in kinds:
                self._by_name[kind.kind] = (provider, kind)
                self._older.update(dict.fromkeys(kind.older_names, kind.kind))

    def present_name(self, name: str) -> str:
        """The present spelling of a kind; a name that is unknown comes back as it is."""
        return self._older.get(name, name)

    def get(self, name: str) -> tuple[str, CredentialKind] | None:
        """(provider, kind) of a kind by its present or an older name."""
        return self._by_name.get(self.present_name(name))

    def names(self, provider: str | None = None) -> list[str]:
        return sorted(name for name, (slug, _) in self._by_name.items() if provider in (None, slug))


def read(kinds: Kinds, given: Mapping[str, Any], *, provider: str | None, allow_base_url: bool) -> Draft:
    """The draft of a new credential from its `properties`, `kind` among them. Invalid with every reason found.

    `provider` is what the caller named, if anything: it follows from the kind and must agree with it.
    """
    name = given.get("kind")
    if not isinstance(name, str):
        reason = "is required" if "kind" not in given else "must be a string"
        raise Invalid({"properties.kind": [f"{reason}; known are {', '.join(kinds.names(provider))}"]})
    found = kinds.get(name)
    if found is None:
        raise Invalid({"properties.kind": [f"is not known here; known are {', '.join(kinds.names(provider))}"]})
    slug, kind = found
    if provider is not None and provider != slug:
        raise Invalid({"provider": [f"is {slug} for credentials of kind {kind.kind}"]})
    properties = _merged(kind, {}, given)
    check(kind, properties, allow_base_url=allow_base_url)
    return Draft(slug, kind, properties)


def revise(
    kinds: Kinds, kind: CredentialKind, held: Mapping[str, Any], given: Mapping[str, Any], *, allow_base_url: bool
) -> dict[str, Any]:
    """The properties of a held credential with the given ones in place of the old; null takes one away. Invalid as in
    `read`."""
    if "kind" in given and kinds.present_name(str(given["kind"])) != kind.kind:
        raise Invalid({"properties.kind": ["cannot be updated; import a credential of the other kind instead"]})
    properties = _merged(kind, held, given)
    for name in kind.contradictions(properties).keys() - given.keys():
        del properties[name]  # it was learned of the secret that stood there before
    check(kind, properties, allow_base_url=allow_base_url)
    return properties


def _merged(kind: CredentialKind, held: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    changes = present_names(kind, {name: value for name, value in given.items() if name != "kind"})
    return {name: value for name, value in {**held, **changes}.items() if value is not None}


def present_names(kind: CredentialKind, given: Mapping[str, Any]) -> dict[str, Any]:
    """The properties under their present names and in their present forms. Invalid when one is given under two
    names."""
    renamed: dict[str, Any] = {}
    for name, value in given.items():
        present = kind.aliases.get(name, name)
        if present in renamed:
            older = next(alias for alias, target in kind.aliases.items() if target == present and alias in given)
            raise Invalid({f"properties.{older}": [f"is the older spelling of {present}; give one of the two"]})
        spelling = kind.spellings.get(present)
        renamed[present] = value if spelling is None else spelling(value)
    return renamed


def check(kind: CredentialKind, properties: Mapping[str, Any], *, allow_base_url: bool) -> None:
    """Raise Invalid with every reason for which these are no properties of `kind`."""
    if len(jsontext.dumps(dict(properties))) > MOST_BYTES:
        raise Invalid({"properties": [f"must have at most {MOST_BYTES} bytes as JSON"]})
    schema = kind.schema
    found: Reasons = {}
    if at_base_url(kind, properties) is not None and (allow_base_url or BASE_URL not in schema.get("required", ())):
        schema = {**schema, "properties": {**schema.get("properties", {}), BASE_URL: _BASE_URL_SCHEMA}}
        if wrong := base_url_reasons(properties[BASE_URL], allow_base_url):
            found[f"properties.{BASE_URL}"] = wrong
    for place, why in reasons(schema, properties, "properties").items():
        found.setdefault(place, []).extend(why)
    if not found:
        found = {f"properties.{name}": [reason] for name, reason in kind.contradictions(properties).items()}
    for name in sorted(kind.secret):
        if looks_masked(properties.get(name)):
            found[f"properties.{name}"] = ["is masked: give the secret itself, or leave the field out"]
    if found:
        raise Invalid(found)


def at_base_url(kind: CredentialKind, properties: Mapping[str, Any]) -> Any:
    """The development address that the credential carries, or None.

    A kind that requires a `base_url` (which server of the provider it is for) means another thing by it, as long as it
    has the form that its schema demands.
    """
    base_url = properties.get(BASE_URL)
    if BASE_URL in kind.schema.get("required", ()):
        form = kind.schema["properties"][BASE_URL].get("pattern")
        if form is None or not isinstance(base_url, str) or re.search(form, base_url):
            return None
    return base_url


def origin(kind: CredentialKind, properties: Mapping[str, Any]) -> str:
    """The origin (scheme, host, port) of the development address of valid properties, or an empty string."""
    base_url = at_base_url(kind, properties)
    return "" if base_url is None else str(Destinations.at_base_url(base_url).origin)


def base_url_reasons(base_url: Any, allowed: bool) -> list[str]:
    """Why this is no development address; empty: it is one."""
    if not allowed:
        return ["is for development only; start the server with HEADRACE_ALLOW_BASE_URL=1 to allow it"]
    if isinstance(base_url, str):
        try:
            Destinations.at_base_url(base_url)
        except EgressRefused as refused:
            return [str(refused)]
    return []
