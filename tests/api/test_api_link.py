"""The auth link, in a real HTTP flow against an authorisation server: each provider's variant, and each way to fail."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from callers import Caller
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headrace.api.services import Services
from headrace.testing.oauth import AuthorizationServer

BACK = "https://app.example.com/connected"


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as client:
        yield client


@dataclass(frozen=True)
class Variant:
    """A kind, what is told before, what the credential must hold at the end beside its secrets, which those are, and
    what the app has beside the rest."""

    kind: str
    told: dict[str, Any] = field(default_factory=dict)
    holds: dict[str, Any] = field(default_factory=dict)
    secret: tuple[str, ...] = ("refresh_token",)
    scope: str | None = None
    pkce: bool = False


VARIANTS = [
    Variant("airtable_oauth2", holds={"airtable_uid": "acct_1"}, scope="data.records:read", pkce=True),
    Variant("github_app", holds={"installation_id": 4711, "account_login": "acct_1"}, secret=()),
    Variant("hubspot_oauth2", holds={"hub_id": 62515}, scope="crm.objects.contacts.read"),
    Variant(
        "linear_oauth2",
        holds={"linear_org_id": "acct_1", "linear_org_name": "Acme"},
        secret=("access_token", "refresh_token"),
        pkce=True,
    ),
    Variant("netsuite_oauth2", {"account_id": "1234567_SB1"}, {"account_id": "1234567_SB1"}, pkce=True),
    Variant(
        "quickbooks_oauth2", {"environment": "sandbox"}, {"realm_id": "9130355377388383", "environment": "sandbox"}
    ),
    Variant("salesforce_oauth2", holds={"instance_url": "https://acme.my.salesforce.com", "name": "Acme"}, pkce=True),
    Variant("salesforce_oauth2", {"sandbox": True}, {"sandbox": True}, pkce=True),
    Variant(
        "servicenow_oauth2",
        {"instance_url": "https://acme.service-now.com"},
        {"instance_url": "https://acme.service-now.com"},
    ),
    Variant(
        "shopify_oauth2",
        {"shop": "acme.myshopify.com"},
        {"shop": "acme.myshopify.com", "scope": "read_orders,read_products"},
        secret=("access_token", "refresh_token"),
    ),
    Variant(
        "stripe_oauth2", holds={"stripe_user_id": "acct_1", "test": False}, secret=("access_token", "refresh_token")
    ),
    Variant(
        "stripe_oauth2",
        {"scope": "stripe_apps"},
        {"stripe_user_id": "acct_1", "scope": "stripe_apps"},
        secret=("access_token", "refresh_token"),
    ),
    Variant("workday_oauth2", {"tenant": "acme"}, {"tenant": "acme"}),
]


async def make_app(admin: Caller, server: AuthorizationServer, kind: str, public: str) -> dict[str, Any]:
    provider = kind.partition("_")[0]
    more: dict[str, Any] = {}
    if provider == "github":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        server.app_key = key.public_key()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        more = {"app_id": "12345", "private_key": pem}
    server.redirect_uris = {f"{public}/link/oauth2/callback/{provider}"}
    body = {"provider": provider, "name": "ours", "client_id": server.client_id, "client_secret": server.client_secret}
    made: dict[str, Any] = await admin.ok(
        "POST", "/v1/oauth-apps", {**body, "redirect_uris": [BACK], "base_url": server.url, **more}
    )
    return made


async def begin(admin: Caller, app: dict[str, Any], kind: str, **more: Any) -> str:
    body = {"oauth_app_id": app["id"], "credential_kind": kind, "redirect_url": BACK, "state": {"user": 7}}
    started = await admin.ok("POST", "/v1/credentials/start-auth", {**body, **more})
    url: str = started["start_url"]
    return url


async def go(browser: httpx2.AsyncClient, url: str) -> str:
    """Follow the browser's way to where it leaves for the caller's page."""
    while not url.startswith(BACK):
        answer = await browser.get(url)
        assert answer.status_code in (302, 303), answer.text
        url = answer.headers["location"]
    return url


async def fetch(browser: httpx2.AsyncClient, public: str, app: dict[str, Any], secret: str, code: str) -> Any:
    body = {"code": code, "client_id": app["id"], "client_secret": secret}
    return await browser.post(f"{public}/link/oauth2/token", json=body)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: f"{each.kind}-{'-'.join(each.told)}".strip("-"))
async def test_an_account_is_connected(
    variant: Variant, admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    server.behaviour.needs_pkce = variant.pkce
    app = await make_app(admin, server, variant.kind, public)
    back = await go(browser, await begin(admin, app, variant.kind, properties=variant.told))
    returned = parse_qs(urlsplit(back).query)
    assert returned["state"] == ['{"user":7}']

    told = (await fetch(browser, public, app, server.client_secret, returned["code"][0])).json()
    assert told["state"] == {"user": 7}
    assert told["credential"]["oauth_app_id"] == app["id"]
    properties = told["credential"]["properties"]
    assert properties["kind"] == variant.kind
    assert {name: properties.get(name) for name in variant.holds} == variant.holds
    assert all(properties[name] for name in variant.secret)
    _, query = next(each for each in server.asked if "state" in each[1])
    assert variant.scope is None or variant.scope in query["scope"]

    made = await admin.ok("POST", "/v1/credentials", told["credential"])
    assert made["health"]["status"] == "ok", made["health"]
    assert made["oauth_app_id"] == app["id"]
    assert all(count <= 1 for count in server.grants.presented.values())


# ── what must be known before ──


async def test_what_is_missing_is_asked_for_on_a_page(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "shopify_oauth2", public)
    url = await begin(admin, app, "shopify_oauth2")
    page = await browser.get(url)
    assert page.status_code == 200
    assert 'name="shop"' in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert page.headers["cache-control"] == "no-store"

    wrong = await browser.get(url, params={"shop": '"><script>alert(1)</script>'})
    assert wrong.status_code == 422
    assert "<script>" not in wrong.text
    assert "does not look like one" in wrong.text

    onward = await browser.get(url, params={"shop": "acme.myshopify.com"})
    assert onward.status_code == 200
    assert f'href="{server.url}/admin/oauth/authorize?' in onward.text
    assert (await browser.get(url, params={"shop": "acme.myshopify.com"})).status_code == 410


async def test_properties_that_do_not_hold_are_told_at_once(
    admin: Caller, server: AuthorizationServer, public: str
) -> None:
    app = await make_app(admin, server, "shopify_oauth2", public)
    body = {"oauth_app_id": app["id"], "credential_kind": "shopify_oauth2", "redirect_url": BACK}
    for properties, where in (
        ({"shop": "evil.example.com"}, "properties.shop"),
        ({"access_token": "x"}, "properties.access_token"),
        ({"base_url": "http://127.0.0.1:1"}, "properties.base_url"),
    ):
        errors = await admin.invalid("POST", "/v1/credentials/start-auth", {**body, "properties": properties})
        assert set(errors) == {where}


# ── once, and only by who may ──


async def test_a_link_is_good_once_and_for_five_minutes(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient, services: Services
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    url = await begin(admin, app, "airtable_oauth2")
    assert (await browser.get(url)).status_code == 303
    over = await browser.get(url)
    assert over.status_code == 410
    assert "is over" in over.text
    late = await begin(admin, app, "airtable_oauth2")
    await services.db.api.execute("update auth_links set expires_at = expires_at - interval '301 seconds'")
    assert (await browser.get(late)).status_code == 410
    assert (await browser.get(f"{public}/link/oauth2/start/unheard")).status_code == 410


async def test_only_the_browser_that_was_sent_may_come_back(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    at_provider = (await browser.get(await begin(admin, app, "airtable_oauth2"))).headers["location"]
    callback = (await browser.get(at_provider)).headers["location"]
    async with httpx2.AsyncClient() as another:
        assert (await another.get(callback)).status_code == 410
    assert (await browser.get(callback.replace("/callback/airtable", "/callback/linear"))).status_code == 410
    assert (await browser.get(callback)).status_code == 410  # the state was used up by the wrong address


async def test_a_code_is_good_once_and_for_its_app_alone(
    admin: Caller, stranger: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    other = await make_app(stranger, server, "airtable_oauth2", public)
    back = await go(browser, await begin(admin, app, "airtable_oauth2"))
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert (await fetch(browser, public, app, "wrong", code)).status_code == 401
    assert (await fetch(browser, public, {"id": "01890a5d-ac96-774b-bcce-b302099a8057"}, "x", code)).status_code == 401
    assert (await fetch(browser, public, other, server.client_secret, code)).status_code == 422
    assert (await fetch(browser, public, app, server.client_secret, code)).status_code == 200
    refused = await fetch(browser, public, app, server.client_secret, code)
    assert refused.status_code == 422
    assert set(refused.json()["validation_errors"]) == {"code"}


async def test_a_code_is_over_after_ten_minutes(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient, services: Services
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    back = await go(browser, await begin(admin, app, "airtable_oauth2"))
    code = parse_qs(urlsplit(back).query)["code"][0]
    await services.db.api.execute("update auth_links set expires_at = expires_at - interval '601 seconds'")
    assert (await fetch(browser, public, app, server.client_secret, code)).status_code == 422


@pytest.mark.parametrize(
    "redirect_url",
    [BACK + "/", BACK + "?a=1", "https://app.example.com.evil.test/connected", "https://app.example.com"],
)
async def test_the_redirect_url_is_one_of_the_apps_letter_for_letter(
    redirect_url: str, admin: Caller, server: AuthorizationServer, public: str
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    body = {"oauth_app_id": app["id"], "credential_kind": "airtable_oauth2", "redirect_url": redirect_url}
    assert set(await admin.invalid("POST", "/v1/credentials/start-auth", body)) == {"redirect_url"}


async def test_fields_of_start_auth_that_do_not_hold(
    admin: Caller, stranger: Caller, server: AuthorizationServer, public: str
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    body = {"oauth_app_id": app["id"], "credential_kind": "airtable_oauth2", "redirect_url": BACK}
    for given, where in (
        ({"state": "x" * 5000}, "state"),
        ({"credential_kind": "airtable_token"}, "credential_kind"),
        ({"credential_kind": "unheard"}, "credential_kind"),
        ({"credential_kind": "linear_oauth2"}, "oauth_app_id"),
        ({"oauth_app_id": "x"}, "oauth_app_id"),
    ):
        assert set(await admin.invalid("POST", "/v1/credentials/start-auth", {**body, **given})) == {where}
    assert set(await stranger.invalid("POST", "/v1/credentials/start-auth", body)) == {"oauth_app_id"}


# ── what goes wrong ──


async def test_what_the_provider_says_no_to_is_told_to_the_caller(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    server.denies = True
    app = await make_app(admin, server, "airtable_oauth2", public)
    back = await go(browser, await begin(admin, app, "airtable_oauth2", state="s"))
    assert parse_qs(urlsplit(back).query) == {
        "error": ["access_denied"],
        "error_description": ["The owner said no."],
        "state": ["s"],
    }


async def test_an_exchange_that_fails_is_told_without_a_secret(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    url = await begin(admin, app, "airtable_oauth2")
    server.client_secret = "another"
    back = await go(browser, url)
    told = parse_qs(urlsplit(back).query)
    assert told["error"] == ["access_denied"]
    assert "invalid_client" in told["error_description"][0]
    assert "client-secret" not in back


async def test_a_provider_that_is_down_is_told_as_such(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    server.behaviour.fails = 1
    back = await go(browser, await begin(admin, app, "airtable_oauth2"))
    assert parse_qs(urlsplit(back).query)["error"] == ["temporarily_unavailable"]


async def test_a_shop_that_did_not_sign_is_not_believed(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "shopify_oauth2", public)
    for change in ({"shop": "other.myshopify.com"}, {"hmac": "0" * 64}, {"code": "forged"}):
        url = await begin(admin, app, "shopify_oauth2", properties={"shop": "acme.myshopify.com"})
        at_provider = (await browser.get(url)).headers["location"]
        callback = urlsplit((await browser.get(at_provider)).headers["location"])
        query = {**dict(parse_qsl(callback.query)), **change}
        answer = await browser.get(f"{public}{callback.path}", params=query)
        assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == ["access_denied"]


async def test_an_installation_is_believed_of_who_may_see_it(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "github_app", public)
    server.sees_installation = False
    back = await go(browser, await begin(admin, app, "github_app"))
    assert "may not see this installation" in parse_qs(urlsplit(back).query)["error_description"][0]

    at_provider = (await browser.get(await begin(admin, app, "github_app"))).headers["location"]
    callback = urlsplit((await browser.get(at_provider)).headers["location"])
    query = dict(parse_qsl(callback.query))
    without_code = {name: value for name, value in query.items() if name != "code"}
    answer = await browser.get(f"{public}{callback.path}", params=without_code)
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert "Request user authorization" in told["error_description"][0]


# ── for those who have no page of their own ──


async def test_the_page_at_the_end_shows_the_code_and_says_what_comes_next(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient
) -> None:
    app = await make_app(admin, server, "airtable_oauth2", public)
    landing = f"{public}/link/oauth2/connected"
    url = await begin(admin, app, "airtable_oauth2", redirect_url=landing)
    page = await browser.get(url, follow_redirects=True)
    assert page.status_code == 200
    assert str(page.url).startswith(landing)
    code = parse_qs(urlsplit(str(page.url)).query)["code"][0]
    assert code in page.text
    assert "good once" in page.text
    failed = await browser.get(landing, params={"error": "access_denied", "error_description": "<b>no</b>"})
    assert "&lt;b&gt;no" in failed.text


async def test_nothing_of_a_link_lies_in_the_open(
    admin: Caller, server: AuthorizationServer, public: str, browser: httpx2.AsyncClient, services: Services
) -> None:
    app = await make_app(admin, server, "linear_oauth2", public)
    back = await go(browser, await begin(admin, app, "linear_oauth2"))
    code = parse_qs(urlsplit(back).query)["code"][0]
    rows = await services.db.api.fetch("select l::text as text from auth_links l")
    secrets = [code, *server.grants.access, *(token for each in server.grants.families for token in each.tokens)]
    assert len(rows) == 1
    for secret in secrets:
        assert secret not in rows[0]["text"]
        assert secret.encode().hex() not in rows[0]["text"]
