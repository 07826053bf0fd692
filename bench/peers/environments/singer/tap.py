"""A tap of the Meltano Singer SDK for customers and invoices, read in full at every run.

The SDK's own replication by a key reads what was created since, and Stripe's objects have no time of change; so the
streams are of its kind FULL_TABLE, which also tells the target what is no longer there (ACTIVATE_VERSION).
"""

import json
import os
from typing import Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import BaseAPIPaginator

with open(os.environ["PEER_SCHEMAS"]) as file:
    SCHEMAS = json.load(file)


class AfterLast(BaseAPIPaginator[str | None]):
    """Stripe's paging: the id of the last object, for as long as there are more."""

    def __init__(self) -> None:
        super().__init__(None)

    def has_more(self, response: Any) -> bool:
        return bool(response.json()["has_more"])

    def get_next(self, response: Any) -> str | None:
        data = response.json()["data"]
        return data[-1]["id"] if data else None


class StripeStream(RESTStream[str | None]):
    url_base = os.environ["PEER_URL"]
    records_jsonpath = "$.data[*]"
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    http_headers: ClassVar[dict[str, str]] = {"Stripe-Version": os.environ["PEER_VERSION"]}

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=os.environ["PEER_KEY"])

    def get_new_paginator(self) -> AfterLast:
        return AfterLast()

    def get_url_params(self, context: Any, next_page_token: str | None) -> dict[str, Any]:
        return {"limit": 100} | ({"starting_after": next_page_token} if next_page_token else {})


class Customers(StripeStream):
    name = "customers"
    path = "/v1/customers"
    schema = SCHEMAS["customers"]


class Invoices(StripeStream):
    name = "invoices"
    path = "/v1/invoices"
    schema = SCHEMAS["invoices"]


class StripeTap(Tap):
    name = "tap-stripe"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[StripeStream]:
        return [Customers(self), Invoices(self)]


if __name__ == "__main__":
    StripeTap.cli()
