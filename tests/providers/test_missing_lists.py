"""An answer without its list is no empty list: it would close a window, or tell of rows that they are gone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from headrace.http import Response
from headrace.providers.airtable import AIRTABLE
from headrace.providers.github import GITHUB
from headrace.providers.hubspot import HUBSPOT
from headrace.providers.kit import EVERYTHING, Context, Faulted, Provider
from headrace.providers.kit.checks import drive
from headrace.providers.kit.rows import Body
from headrace.providers.linear import LINEAR
from headrace.providers.salesforce import SALESFORCE
from headrace.providers.stripe import STRIPE

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PROVIDERS = (AIRTABLE, GITHUB, HUBSPOT, LINEAR, SALESFORCE, STRIPE)
SINGLE = frozenset({"airtable:user", "github:organization", "github:user"})
"""Collections of one object, which is the answer itself."""


def _listings() -> Iterator[Any]:
    for provider in PROVIDERS:
        for collection in provider.collections:
            if collection.listing is not None and collection.id not in SINGLE:
                yield pytest.param(provider, collection.id, id=collection.id)


@pytest.mark.parametrize(("provider", "collection_id"), [*_listings()])
@pytest.mark.parametrize("body", [{}, {"data": None, "results": None, "records": None}], ids=["absent", "null"])
def test_an_answer_without_its_list_closes_no_window(provider: Provider, collection_id: str, body: Any) -> None:
    collection = provider.collection(collection_id)
    assert collection is not None
    assert collection.listing is not None
    partition = None if collection.partitions is None else "1/acme/anvils"
    ctx = Context({}, NOW, partition=partition)
    with pytest.raises(Faulted) as told:
        drive(collection.listing.page(ctx, EVERYTHING, None), lambda request: Response(200, orjson.dumps(body), NOW))
    assert told.value.fault.kind == "transient"


@pytest.mark.parametrize("body", [b"{}", b'{"data":null}', b'{"data":{}}', b'{"data":"none"}'])
def test_a_body_has_its_list(body: bytes) -> None:
    with pytest.raises(Faulted) as told:
        Body("data").read(Response(200, body, NOW))
    assert told.value.fault.kind == "transient"
    assert Body("data").read(Response(200, b'{"data":[]}', NOW)).rows == []
