"""Each Stripe collection has a JSON Schema, and the schema accepts a real object of it."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from headrace.providers.kit import Collection
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.collections import COLLECTIONS

ROOT = Path(__file__).parents[2]
RECORDED = ROOT.parent / "shared" / "evidence" / "recorded" / "stripe"
OBJECTS = {
    "checkout_session_line_item": "item",
    "external_account": "external_account",
    "invoice_line_item": "line_item",
    "payment_link_line_item": "item",
    "payment_source": "source",
    "quote_line_item": "item",
}
"""Collections whose recorded object has another name."""


def recorded(collection: Collection) -> object:
    name = OBJECTS.get(collection.name, collection.name)
    for path in RECORDED.glob("stripe-openapi-fixtures3__*.json"):
        if path.stem.split("__")[1].replace(".", "_") == name:
            return json.loads(path.read_text())["exchanges"][0]["body"]
    raise LookupError(name)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers are not there")
@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda c: c.name)
def test_accepts_the_recorded_object(collection: Collection) -> None:
    body = recorded(collection)
    schema = dict(collection.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(body, schema, cls=jsonschema.Draft202012Validator)
    # The object must be one of this collection: most of its fields are known to the schema.
    assert isinstance(body, dict)
    known = body.keys() & schema["properties"].keys()
    assert len(known) >= 0.9 * len(body), sorted(body.keys() - known)


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda c: c.name)
def test_describes_its_fields(collection: Collection) -> None:
    fields = collection.schema()["properties"]
    assert fields["id"]["type"] == "string"
    for name, field in fields.items():
        assert field["title"]
        assert field["x-upstream-id"] == name
        assert field["x-scope"] == "provider"


def test_packaged_schemas_are_what_the_script_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "stripe_schemas.py", tmp_path], check=True)
    packaged = ROOT / "src" / "headrace" / "providers" / "stripe" / "schemas"
    made = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert made == {path.name: path.read_bytes() for path in packaged.glob("*.json")}
    assert made.keys() == {f"{collection.name}.json" for collection in STRIPE.collections}
