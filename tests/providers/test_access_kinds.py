"""How requests are signed with the plain kinds, whose the provider says they are, and what counts as a refusal.

The kinds that are connected in a browser are tried in tests/api/test_api_link.py, against a server.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest

from headrace.errors import Invalid
from headrace.http import Request, Response
from headrace.providers import installed
from headrace.providers.kit import Account, CredentialKind, Provider, Refused
from headrace.providers.kit.jwt import rs256
from headrace.providers.kit.oauth import grant_life_s
from headrace.providers.kit.oauth1 import Signer
from headrace.providers.quickbooks.access import _TOKENS as QUICKBOOKS_TOKENS
from headrace.vault.drafts import Kinds, read
from headrace.vault.grants import ACCESS_TOKEN, App, GrantRefused

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def found(kind: str) -> tuple[Provider, CredentialKind]:
    return next((of, each) for of in installed().values() for each in of.kinds if each.kind == kind)


def verified(kind: str, properties: dict[str, Any], status: int, body: Any) -> tuple[list[Request], Account]:
    """The requests that verifying makes, and whose it is when each is answered so."""
    of, each = found(kind)
    steps = each.verify(properties, NOW)
    asked: list[Request] = []
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    try:
        request = next(steps)
        while True:
            signed = each.sign(of.prepare(request), properties, NOW)
            asked.append(signed)
            assert status < 300 or status in request.accept
            request = steps.send(Response(status, content, NOW))
    except StopIteration as end:
        return asked, end.value


SENDGRID = "SG.abcDEF123.secretpart"
NETSUITE = {
    "account_id": "1234567_sb1", "consumer_key": "ck", "consumer_secret": "cs", "token_id": "ti", "token_secret": "ts",
}  # fmt: skip
LINEAR = {"data": {"organization": {"id": "org-1", "name": "Acme", "urlKey": "acme"}}}
SHOP = {
    "data": {
        "shop": {"myshopifyDomain": "acme.myshopify.com"},
        "currentAppInstallation": {"accessScopes": [{"handle": "read_orders"}]},
    }
}
DETAILS = {"portalId": 62515, "accountType": "SANDBOX"}
SNOW = {"instance_url": "https://acme.service-now.com/", "username": "reader", "password": "p:w"}
WORKDAY = {"base_url": "https://wd5-services1.myworkday.com", "tenant": "acme", "username": "isu", "password": "<p&w>"}
MARKETO = {
    "base_url": "https://123-abc-456.mktorest.com/",
    "client_id": "c",
    "client_secret": "msecret",
    ACCESS_TOKEN: "t",
}

GOOD: list[tuple[str, dict[str, Any], Any, Account]] = [
    ("airtable_token", {"token": "pat1"}, {"id": "usr1", "scopes": []}, Account("usr1", narrow=True)),
    ("checkout_champ_password", {"login_id": "l", "password": "p"}, {"result": "SUCCESS", "message": {}}, Account("l")),
    (
        "checkout_champ_password",
        {"login_id": "l", "password": "p"},
        {"result": "ERROR", "message": "No orders matching those parameters could be found"},
        Account("l"),
    ),
    ("github_token", {"token": "ghp_1"}, {"login": "octocat"}, Account("octocat", narrow=True)),
    ("hubspot_private_app", {"token": "pat-na1"}, DETAILS, Account("62515", mode="test")),
    ("linear_key", {"key": "lin_api_1"}, LINEAR, Account("org-1")),
    ("marketo_client", MARKETO, {"success": True, "result": []}, Account("https://123-abc-456.mktorest.com")),
    ("netsuite_token", NETSUITE, {"items": []}, Account("1234567_SB1", mode="test")),
    ("sendgrid_key", {"api_key": SENDGRID}, {"scopes": []}, Account("abcDEF123")),
    ("servicenow_password", SNOW, {"result": []}, Account("https://acme.service-now.com")),
    ("shopify_token", {"shop": "acme.myshopify.com", ACCESS_TOKEN: "shpat_1"}, SHOP, Account("acme.myshopify.com")),
    ("workday_password", WORKDAY, b"<env:Envelope/>", Account("acme")),
]


@pytest.mark.parametrize(
    ("kind", "properties", "answer", "account"), GOOD, ids=lambda each: each if isinstance(each, str) else ""
)
def test_the_account_is_the_one_that_the_provider_names(
    kind: str, properties: dict[str, Any], answer: Any, account: Account
) -> None:
    asked, told = verified(kind, properties, 200, answer)
    assert told == account
    of, each = found(kind)
    assert each.account_of(properties) in (None, account.id)
    secrets = [str(properties[name]) for name in each.secret]
    assert asked
    for request in asked:
        assert not any(secret in request.url or secret in str(request.query) for secret in secrets)
        assert of.base_url(properties).startswith("https://")


REFUSED: list[tuple[str, dict[str, Any], int, Any]] = [
    ("airtable_oauth2", {"refresh_token": "r", ACCESS_TOKEN: "s"}, 200, {"scopes": []}),
    ("airtable_token", {"token": "pat1"}, 200, {"email": "ada@example.com"}),
    ("airtable_token", {"token": "pat1"}, 200, []),
    ("airtable_token", {"token": "pat1"}, 401, {"error": {"type": "AUTHENTICATION_REQUIRED", "message": "no"}}),
    (
        "checkout_champ_password",
        {"login_id": "l", "password": "p"},
        200,
        {"result": "ERROR", "message": "Invalid login"},
    ),
    ("github_token", {"token": "ghp_1"}, 401, {"message": "Bad credentials"}),
    ("hubspot_private_app", {"token": "pat-na1"}, 401, {"message": "expired"}),
    ("linear_key", {"key": "lin_api_1"}, 400, {"errors": [{"message": "Authentication required"}]}),
    ("linear_key", {"key": "lin_api_1"}, 200, {"errors": [{"message": "Authentication required"}]}),
    ("linear_key", {"key": "lin_api_1"}, 200, {"data": {"organization": None}}),
    ("linear_key", {"key": "lin_api_1"}, 200, {"data": None}),
    ("linear_oauth2", {"access_token": "lin_oauth_1"}, 200, {"data": {"organization": {"name": "Acme"}}}),
    ("netsuite_token", NETSUITE, 401, {"title": "Unauthorized", "o:errorDetails": [{"detail": "Invalid login"}]}),
    ("sendgrid_key", {"api_key": SENDGRID}, 401, {"errors": [{"message": "authorization required"}]}),
    ("servicenow_password", SNOW, 401, {"error": {"message": "User Not Authenticated"}}),
    ("shopify_token", {"shop": "other.myshopify.com", ACCESS_TOKEN: "s"}, 200, SHOP),
    ("workday_password", WORKDAY, 500, b"<f><faultstring>invalid username or password</faultstring></f>"),
]


@pytest.mark.parametrize(
    ("kind", "properties", "status", "answer"), REFUSED, ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_definite_refusal_is_told_without_the_secret(
    kind: str, properties: dict[str, Any], status: int, answer: Any
) -> None:
    with pytest.raises(Refused) as refused:
        verified(kind, properties, status, answer)
    assert len(str(refused.value)) > 15


def signed(kind: str, properties: dict[str, Any], request: Request) -> Request:
    return found(kind)[1].sign(request, properties, NOW)


def test_linears_key_goes_as_it_is() -> None:
    assert signed("linear_key", {"key": "lin_api_1"}, Request("/graphql")).headers == {"Authorization": "lin_api_1"}


def test_shopifys_token_has_a_header_of_its_own() -> None:
    request = signed("shopify_token", {"shop": "acme.myshopify.com", "access_token": "shpat"}, Request("/x"))
    assert request.headers == {"X-Shopify-Access-Token": "shpat"}


def test_a_password_goes_as_basic() -> None:
    headers = signed("servicenow_password", SNOW, Request("/x")).headers
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"reader:p:w"


def test_checkout_champs_login_goes_into_the_form_once() -> None:
    held = {"login_id": "l", "password": "p&w"}
    once = signed("checkout_champ_password", held, Request("/order/query/", body=b"page=1&loginId=x"))
    twice = signed("checkout_champ_password", held, once)
    assert once == twice
    assert once.method == "POST"
    assert dict(parse_qsl((once.body or b"").decode())) == {"page": "1", "loginId": "l", "password": "p&w"}


def test_workdays_envelope_cannot_be_broken_out_of() -> None:
    asked, _ = verified("workday_password", WORKDAY, 200, b"<ok/>")
    assert b"&lt;p&amp;w&gt;" in (asked[0].body or b"")
    assert b"isu@acme" in (asked[0].body or b"")


def test_an_oauth1_signature_is_that_of_the_base_string() -> None:
    """The base string as RFC 5849 §3.4.1 builds it, written out."""
    signer = Signer("ck", "c&s", "ti", "ts")
    url = "https://1234567-SB1.suitetalk.api.netsuite.com/services/rest/query/v1/suiteql?offset=0"
    header = signer.header("post", url, [("limit", "1000"), ("q", "a b+c")], NOW, realm="1234567_SB1", nonce="n0")
    parameters = (
        "limit%3D1000%26oauth_consumer_key%3Dck%26oauth_nonce%3Dn0%26oauth_signature_method%3DHMAC-SHA256"
        "%26oauth_timestamp%3D1795435200%26oauth_token%3Dti%26oauth_version%3D1.0%26offset%3D0%26q%3Da%2520b%252Bc"
    )
    place = "https%3A%2F%2F1234567-sb1.suitetalk.api.netsuite.com%2Fservices%2Frest%2Fquery%2Fv1%2Fsuiteql"
    digest = hmac.new(b"c%26s&ts", f"POST&{place}&{parameters}".encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert header.startswith('OAuth realm="1234567_SB1", ')
    assert f'oauth_signature="{signature}"' in header
    assert "c&s" not in header
    assert "ts" not in header.replace("timestamp", "")


def test_no_two_oauth1_signatures_have_the_same_nonce() -> None:
    signer = Signer("ck", "cs", "ti", "ts")
    assert len({signer.header("GET", "https://a.example/", [], NOW, realm="1") for _ in range(50)}) == 50


@pytest.mark.parametrize("key", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_a_key_that_is_none_is_the_apps_fault_and_not_repeated(key: str) -> None:
    with pytest.raises(GrantRefused) as refused:
        rs256(key, {"iss": "1"})
    assert refused.value.whose == "app"
    assert "AAAA" not in str(refused.value)


HOSTS = [
    ("salesforce", {"instance_url": "https://acme.my.salesforce.com/"}, "https://acme.my.salesforce.com"),
    ("shopify", {"shop": "acme.myshopify.com"}, "https://acme.myshopify.com"),
    ("netsuite", {"account_id": "1234567_SB1"}, "https://1234567-sb1.suitetalk.api.netsuite.com"),
    ("quickbooks", {"realm_id": "1"}, "https://quickbooks.api.intuit.com"),
    ("quickbooks", {"environment": "sandbox"}, "https://sandbox-quickbooks.api.intuit.com"),
    ("sendgrid", {"region": "eu"}, "https://api.eu.sendgrid.com"),
    ("auth0", {"domain": "acme.eu.auth0.com"}, "https://acme.eu.auth0.com"),
    ("servicenow", {"instance_url": "https://acme.service-now.com"}, "https://acme.service-now.com"),
    ("linear", {"base_url": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
]


@pytest.mark.parametrize(("slug", "properties", "url"), HOSTS)
def test_where_requests_go_follows_from_the_account(slug: str, properties: dict[str, Any], url: str) -> None:
    assert installed()[slug].base_url(properties) == url


EVIL = [
    "https://acme.my.salesforce.com.evil.test",
    "https://evil.test/.salesforce.com",
    "http://acme.my.salesforce.com",
]


@pytest.mark.parametrize("url", [*EVIL, "https://a@b.salesforce.com", "https://b.salesforce.com:444"])
def test_an_instance_that_is_none_of_the_providers_is_refused(url: str) -> None:
    kind = found("salesforce_oauth2")[1]
    assert kind.grant is not None
    steps = kind.grant.mint({"refresh_token": "r"}, App("id", "secret"), NOW)
    next(steps)
    answer = orjson.dumps({"access_token": "a", "instance_url": url})
    with pytest.raises(Refused):
        steps.send(Response(200, answer, NOW))


def ends(text: str) -> datetime | None:
    response = Response(200, b"{}", NOW, {"github-authentication-token-expiration": text} if text else {})
    return found("github_token")[1].ends(response)


def test_github_tells_when_a_token_ends() -> None:
    moment = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
    assert ends("2026-12-01 09:30:00 UTC") == ends("2026-12-01 10:30:00 +0100") == moment
    assert ends("") is ends("soon") is None


def test_netsuites_refresh_token_says_itself_when_it_ends() -> None:
    grant = found("netsuite_oauth2")[1].grant
    assert grant is not None
    claims = base64.urlsafe_b64encode(orjson.dumps({"exp": 1796000000})).rstrip(b"=").decode()
    assert grant.ends({"refresh_token": f"head.{claims}.sig"}) == datetime.fromtimestamp(1796000000, UTC)
    for other in ("", "opaque", "a.b.c", "head..sig", f"head.{base64.urlsafe_b64encode(b'[1]').decode()}.sig"):
        assert grant.ends({"refresh_token": other}) is None


def test_of_two_ends_of_a_grant_the_nearer_one_counts() -> None:
    assert grant_life_s({}) is None
    assert grant_life_s({"refresh_token_expires_in": "60"}) == 60
    assert grant_life_s({"x_refresh_token_expires_in": 8726400, "x_refresh_token_hard_expires_in": 86400}) == 86400
    assert QUICKBOOKS_TOKENS.headers == {"x-include-refresh-token-hard-expires-in": "true"}


def test_older_spellings_of_a_github_installation_are_taken() -> None:
    known = Kinds((of.slug, of.kinds) for of in installed().values())
    for kind, account_type in (("github", "organization"), ("github_app", "user"), ("github_app", "Organization")):
        given = {"kind": kind, "account_type": account_type, "account_login": "acme", "installation_id": "4711"}
        draft = read(known, given, provider=None, allow_base_url=False)
        assert draft.kind.kind == "github_app"
        assert draft.properties["account_type"] == account_type.capitalize()
        assert draft.properties["installation_id"] == 4711
    for wrong in ({"installation_id": "47a"}, {"installation_id": "-1"}, {"installation_id": 1, "account_type": "bot"}):
        with pytest.raises(Invalid):
            read(known, {"kind": "github_app", **wrong}, provider=None, allow_base_url=False)
