"""What each provider's API says to who asks whose a token is, as far as a credential's verification reads it."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request, str], dict[str, Any]]

SHOP = "acme.myshopify.com"
PORTAL = 62515
INSTANCE = "https://acme.my.salesforce.com"


def _graphql(request: web.Request, account: str) -> dict[str, Any]:
    """Linear's `organization`."""
    return {"data": {"organization": {"id": account, "name": "Acme", "urlKey": "acme"}}}


def _shop(request: web.Request, account: str) -> dict[str, Any]:
    scopes = [{"handle": "read_orders"}, {"handle": "read_products"}]
    return {"data": {"shop": {"myshopifyDomain": SHOP}, "currentAppInstallation": {"accessScopes": scopes}}}


def _organization(request: web.Request, account: str) -> dict[str, Any]:
    """Salesforce's query of Organization."""
    return {"done": True, "totalSize": 1, "records": [{"Id": account, "Name": "Acme", "IsSandbox": False}]}


ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/v0/meta/whoami", lambda request, account: {"id": account, "scopes": ["data.records:read"]}),
    ("GET", "/account-info/v3/details", lambda request, account: {"portalId": PORTAL, "accountType": "STANDARD"}),
    ("POST", "/graphql", _graphql),
    ("GET", "/services/data/{version}/query", _organization),
    (
        "GET",
        "/v3/company/{realm}/companyinfo/{same}",
        lambda request, account: {"CompanyInfo": {"CompanyName": "Acme"}},
    ),
    ("POST", "/admin/api/{version}/graphql.json", _shop),
    ("GET", "/v1/account", lambda request, account: {"id": account, "object": "account"}),
    ("GET", "/api/now/table/sys_user", lambda request, account: {"result": [{"sys_id": "1"}]}),
    ("POST", "/services/rest/query/v1/suiteql", lambda request, account: {"items": [{"one": "1"}], "hasMore": False}),
    ("GET", "/ccx/api/common/v1/{tenant}/workers", lambda request, account: {"total": 0, "data": []}),
    ("GET", "/installation/repositories", lambda request, account: {"total_count": 0, "repositories": []}),
    ("GET", "/rest/v1/stats/usage.json", lambda request, account: {"success": True, "result": []}),
)


def beside_token(path: str, account: str) -> dict[str, Any]:
    """What the answer of a token endpoint holds beside the tokens, by provider."""
    if path == "/services/oauth2/token":
        return {"instance_url": INSTANCE, "id": f"https://login.salesforce.com/id/{account}/005"}
    if path == "/admin/oauth/access_token":
        return {"scope": "read_orders,read_products"}
    if path == "/oauth/token":
        return {"scope": "read", "stripe_user_id": account, "livemode": True}
    if path == "/v1/oauth/token":
        return {"scope": "stripe_apps", "stripe_user_id": account, "livemode": True}
    return {}
