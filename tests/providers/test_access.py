"""How each provider is reached: its kinds of credential, as the contract names them, and what is signed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jsonschema import Draft202012Validator

from headrace.egress import Destinations
from headrace.engine.urls import requested
from headrace.providers import SLUGS, installed
from headrace.providers.kit import CredentialKind
from headrace.vault.grants import App, Code

NOW = datetime(2026, 11, 23, tzinfo=UTC)

KINDS: Mapping[str, tuple[set[str], set[str]]] = {
    # kind: (properties that are not secret, secret ones), as the HTTP contract lists them
    "airtable_oauth2": ({"airtable_uid", "scope"}, {"refresh_token"}),
    "airtable_token": (set(), {"token"}),
    "auth0_m2m": ({"domain", "client_id"}, {"client_secret"}),
    "checkout_champ_password": ({"login_id"}, {"password"}),
    "github_app": ({"account_type", "account_login", "installation_id"}, set()),
    "github_token": (set(), {"token"}),
    "hubspot_oauth2": ({"hub_domain", "hub_id", "scopes"}, {"refresh_token"}),
    "hubspot_private_app": (set(), {"token"}),
    "linear_oauth2": ({"scope", "linear_org_id", "linear_org_name"}, {"access_token", "refresh_token"}),
    "linear_key": (set(), {"key"}),
    "marketo_client": ({"base_url", "client_id"}, {"client_secret"}),
    "netsuite_token": ({"account_id"}, {"consumer_key", "consumer_secret", "token_id", "token_secret"}),
    "netsuite_oauth2": ({"account_id"}, {"refresh_token"}),
    "quickbooks_oauth2": ({"realm_id", "environment"}, {"refresh_token"}),
    "salesforce_oauth2": ({"instance_url", "name"}, {"refresh_token"}),
    "sendgrid_key": (set(), {"api_key"}),
    "servicenow_oauth2": ({"instance_url"}, {"refresh_token"}),
    "servicenow_password": ({"instance_url", "username"}, {"password"}),
    "shopify_oauth2": ({"shop", "scope"}, {"access_token", "refresh_token"}),
    "shopify_token": ({"shop"}, {"access_token"}),
    "stripe_key": ({"name", "test"}, {"secret"}),
    "stripe_oauth2": ({"stripe_user_id", "scope", "test"}, {"access_token", "refresh_token"}),
    "workday_oauth2": ({"base_url", "tenant"}, {"refresh_token"}),
    "workday_password": ({"base_url", "tenant", "username"}, {"password"}),
}


def kinds() -> dict[str, CredentialKind]:
    return {kind.kind: kind for provider in installed().values() for kind in provider.kinds}


def test_the_kinds_are_those_of_the_contract() -> None:
    assert set(kinds()) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_the_properties_of_the_contract(name: str) -> None:
    kind = kinds()[name]
    plain, secret = KINDS[name]
    Draft202012Validator.check_schema(kind.schema)
    assert kind.secret == secret
    named = set(kind.schema["properties"])
    assert plain | secret | {"base_url"} <= named
    assert set(kind.schema["required"]) <= named
    assert kind.schema["additionalProperties"] is False


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.kind)
def test_what_a_grant_and_a_link_name_is_in_the_schema(kind: CredentialKind) -> None:
    named: set[str] = set(kind.schema["properties"])
    if kind.grant is not None:
        assert set(kind.grant.of) <= named
    if kind.link is not None:
        assert set(kind.link.asks) <= named
        assert kind.grant is not None


PROPERTIES = {
    "access_token": "a", "account_id": "1", "base_url": "https://123-abc-456.mktorest.com", "client_id": "c",
    "client_secret": "s", "domain": "acme.auth0.com", "installation_id": 1, "instance_url": "https://acme.service-now.com",
    "realm_id": "1", "refresh_token": "r", "shop": "acme.myshopify.com", "stripe_user_id": "acct_1", "tenant": "acme",
}  # fmt: skip
OWN = {
    "salesforce_oauth2": {"instance_url": "https://acme.my.salesforce.com"},
    "workday_oauth2": {"base_url": "https://wd5-services1.myworkday.com"},
}


@pytest.mark.parametrize("kind", [kind for kind in kinds().values() if kind.grant], ids=lambda kind: kind.kind)
def test_a_token_endpoint_is_where_requests_may_go(kind: CredentialKind) -> None:
    provider = next(each for each in installed().values() if kind in each.kinds)
    assert kind.grant is not None
    named = kind.schema["properties"]
    required = {*kind.schema["required"], *kind.grant.of}
    properties = {name: PROPERTIES[name] for name in required if name in named} | OWN.get(kind.kind, {})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    app = App("id", "secret", app_id="1", private_key=pem)
    places = Destinations((*provider.hosts, *kind.grant.hosts))
    steps = [kind.grant.mint(properties, app, NOW)]
    if kind.link is not None:
        steps.append(kind.link.exchange(Code("code", "https://x.example/", "v"), app, properties, NOW))
    for each in steps:
        request = next(each)
        assert request.anonymous
        places.admit(str(requested(provider, properties, request)))
        assert not any(secret in request.url for secret in ("secret", "code"))


def test_every_provider_of_the_contract_can_be_reached() -> None:
    assert set(installed()) == set(SLUGS)
    assert all(provider.kinds for provider in installed().values())


def test_no_two_kinds_have_a_name_in_common() -> None:
    names: list[str] = []
    for kind in kinds().values():
        names += [kind.kind, *kind.older_names]
    assert len(names) == len(set(names))


def test_no_older_name_takes_a_present_ones_place() -> None:
    every: dict[str, Any] = kinds()
    assert not {older for kind in every.values() for older in kind.older_names} & every.keys()
