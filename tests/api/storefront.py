"""A provider without a network: its credentials are verified by what they look like."""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

import orjson

from headrace.http import Request, Response
from headrace.providers.kit import (
    Account,
    Collection,
    Context,
    CredentialKind,
    Cursor,
    Delivery,
    Hint,
    Hook,
    Limit,
    LimitPolicy,
    Listing,
    NotGenuine,
    Page,
    Properties,
    Provider,
    Refused,
    Steps,
    Window,
)


def _sign(request: Request, properties: Properties, now: datetime) -> Request:
    return request.with_header("Authorization", f"Bearer {properties['secret']}")


def _verify(properties: Properties, now: datetime) -> Generator[Request, Response, Account]:
    secret: str = properties["secret"]
    if secret.startswith("bad"):
        raise Refused("no such key")
    yield from ()
    return Account(id=f"account-{secret}", learned={"name": "Shop"}, mode="test")


def _page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    yield from ()
    return Page()


def _read(delivery: Delivery, secret: str, now: datetime) -> list[Hint]:
    if delivery.headers.get("x-shop-signature") != secret:
        raise NotGenuine("the signature does not hold")
    if delivery.headers.get("x-shop-url", delivery.url) != delivery.url:
        raise NotGenuine("the signature holds for another address")
    gone = orjson.loads(delivery.body).get("gone", [])
    return [Hint("shop:order", key, forgotten=True) for key in gone]


def _schema() -> Mapping[str, Any]:
    return {"type": "object", "properties": {"id": {"type": "string"}}}


SHOP_KEY = CredentialKind(
    kind="shop_key",
    schema={
        "type": "object",
        "properties": {"secret": {"type": "string", "minLength": 1}, "name": {"type": "string"}},
        "required": ["secret"],
        "additionalProperties": False,
    },
    secret=frozenset({"secret"}),
    sign=_sign,
    verify=_verify,
    aliases={"secret_key": "secret"},
)

SHOP = Provider(
    slug="shop",
    name="Shop",
    base_url=lambda properties: "https://shop.example",
    hosts=("shop.example",),
    kinds=(SHOP_KEY,),
    limits=LimitPolicy(limits=(Limit(20, 1),), concurrent=4),
    collections=tuple(
        Collection(id=f"shop:{name}", name=name, listing=Listing(_page), schema=_schema)
        for name in ("order", "customer", "invoice")
    ),
    fault=lambda response: None,
    hook=Hook(_read),
    default_rate_limit=lambda mode: (600, 60),
)
