"""Objects have Stripe's published shapes, and the catalogue says what Stripe's own package says."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import orjson
import pytest
import stripe
from sdk_schema import class_of, schema_of

from headrace.providers.stripe import STRIPE
from headrace.testing.stripe import StripeServer
from headrace.testing.stripe.catalog import RESOURCES
from headrace.testing.stripe.population import patterns, spread
from headrace.testing.stripe.resources import Resource
from headrace.testing.stripe.shape import holes, variants
from headrace.testing.stripe.truth import COLLECTIONS

RECORDED = Path(__file__).parents[3] / "shared" / "evidence" / "recorded" / "stripe"
EACH = pytest.mark.parametrize("resource", RESOURCES.values(), ids=str(RESOURCES.keys()).split("'")[1::2])


@pytest.fixture(scope="module")
def account() -> Any:
    roots = {name: 1000 for name, resource in RESOURCES.items() if resource.child is None}
    return StripeServer(roots, until=1_790_000_000).account


@EACH
def test_objects_validate_against_the_types_of_stripes_package(account: Any, resource: Resource) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(resource.object))
    for ordinal in range(50):
        validator.validate(orjson.loads(account.raw(resource.name, ordinal)))


@EACH
def test_every_variant_is_shown(account: Any, resource: Resource) -> None:
    made = {frozenset(orjson.loads(account.raw(resource.name, ordinal))) for ordinal in range(100)}
    assert made >= {frozenset(variant) for variant in variants(resource.shape_name)}


@EACH
def test_every_hole_names_a_collection_that_there_is(resource: Resource) -> None:
    for variant in variants(resource.shape_name):
        for hole in holes(variant):
            kind, _, rest = hole.partition(":")
            if kind in ("ref", "embed", "list"):
                assert rest in RESOURCES


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers are not here")
@EACH
def test_fields_are_those_of_recorded_answers(account: Any, resource: Resource) -> None:
    """No field is our invention: each is in Stripe's recorded fixture, or in its package's types."""
    recorded = orjson.loads((RECORDED / f"stripe-openapi-fixtures3__{resource.object}.json").read_bytes())
    known = set(recorded["exchanges"][0]["body"]) | set(inspect.get_annotations(class_of(resource.object)))
    for variant in variants(resource.shape_name):
        assert set(variant) <= known


@EACH
def test_lists_take_the_parameters_that_stripes_package_has(resource: Resource) -> None:
    if resource.path is None:
        return
    known = _list_parameters(resource.object)
    assert set(resource.filters) <= known
    assert (resource.created is not None) == ("created" in known)


def _list_parameters(name: str) -> set[str]:
    """The names of the list parameters, read off the package's `params` module for this object."""
    cls = class_of(name)
    module = cls.__module__.rpartition(".")
    path = f"stripe.params{module[0].removeprefix('stripe')}.{module[2]}_list_params"
    source = inspect.getsource(importlib.import_module(path))
    body = re.search(r"class \w+ListParams\(RequestOptions\):\n(.*?)(?:\n\n\nclass|\Z)", source, re.DOTALL)
    assert body is not None
    return set(re.findall(r"^    (\w+): ", body[1], re.MULTILINE))


def test_events_have_types_that_stripe_has() -> None:
    known = set(get_args(inspect.get_annotations(stripe.Event)["type"]))
    for resource in RESOURCES.values():
        told = resource.events
        assert {told.created, told.updated, told.deleted, *told.by_status.values()} - {None} <= known


def test_the_main_objects_are_about_two_kilobytes(account: Any) -> None:
    for name in ("customers", "charges", "invoices", "payment_intents"):
        shown = [orjson.loads(account.raw(name, ordinal)) for ordinal in range(400)]
        sizes = [len(orjson.dumps({**each, "lines": None})) for each in shown]
        assert 1_400 <= sum(sizes) / len(sizes) <= 3_000, name


def test_any_number_of_records_is_made_exactly() -> None:
    for records in (0, 1, 10, 57, 200, 12_345, 1_000_000, 10_000_000):
        server = StripeServer(records)
        assert sum(server.account.count(name) for name in server.account.collections) == records
        assert spread(records, patterns())["charges"] >= 0


@pytest.mark.parametrize("collection", STRIPE.collections, ids=lambda each: each.id)
def test_objects_validate_against_the_schema_that_the_connector_gives_out(account: Any, collection: Any) -> None:
    if collection.id == "stripe:event":
        return
    validator = jsonschema.Draft202012Validator(collection.schema())
    for ordinal in range(30):
        validator.validate(orjson.loads(account.whole(COLLECTIONS[collection.id], ordinal)))
