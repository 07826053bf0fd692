"""Each recorded answer of these providers is read by a test, or it is said why not."""

import re
from pathlib import Path

import orjson
import pytest
from evidence import UNREAD
from test_stripe_schemas import OBJECTS

from headrace.providers.kit import Context, Delete
from headrace.providers.kit.rows import Raw
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.collections import LISTED
from headrace.providers.stripe.objects import NOWHERE, Moment, children_of

HERE = Path(__file__).parent
RECORDED = HERE.parents[2] / "shared" / "evidence" / "recorded"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers are not there")
STUBS = "deleted_"


def there(provider: str) -> set[str]:
    return {path.stem.partition("__")[2] for path in (RECORDED / provider).glob("*.json")}


def named(provider: str) -> set[str]:
    """The cases that the provider's tests of recorded answers name."""
    return set(re.findall(r'"(\w+(?:\.\w+)?)"', (HERE / f"test_{provider}_recorded.py").read_text()))


def read(provider: str) -> set[str]:
    """The cases that tests read."""
    if provider == "stripe":  # test_stripe_schemas.py, test_fake_shapes.py; stubs below
        names = {OBJECTS.get(each.name, each.name) for each in STRIPE.collections}
        return {case for case in there(provider) if case.replace(".", "_") in names or case.startswith(STUBS)}
    fields = {case for case in there(provider) if case.endswith("FieldSchema")}  # test_airtable_recorded.py, as a glob
    return (named(provider) & there(provider)) | fields


@pytest.mark.parametrize("provider", UNREAD)
def test_each_recorded_answer_is_read_or_excused(provider: str) -> None:
    assert there(provider) - read(provider) == UNREAD[provider].keys()


@pytest.mark.parametrize("case", sorted(case for case in there("stripe") if case.startswith(STUBS)))
def test_the_stub_of_a_deleted_object_is_no_record(case: str) -> None:
    path = RECORDED / "stripe" / f"stripe-openapi-fixtures3__{case}.json"
    body = orjson.loads(path.read_bytes())["exchanges"][0]["body"]
    if "id" not in body:
        pytest.skip("a discount's stub: a part of its customer, which is read anew")
    text, moment = orjson.dumps(body), Moment(NOWHERE.now)
    assert children_of("stripe:x", "parent", [Raw(text)], moment) == []
    for resource in (each.resource for each in LISTED if each.resource.name == body["object"]):
        ctx = Context({}, NOWHERE.now, frozenset({resource.collection}))
        assert resource.items(ctx, text, moment) == [Delete(resource.collection, body["id"], NOWHERE.now)]
