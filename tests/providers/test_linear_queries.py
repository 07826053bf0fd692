"""Linear's queries are queries of Linear's own schema, which stands beside the repository (MIT)."""

from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from headrace.providers.linear.reading import SIZE, list_text, one_text
from headrace.providers.linear.schemas import points
from headrace.providers.linear.types import TYPES, Type

SCHEMA = Path(__file__).parents[2].parent / "shared" / "evidence" / "schemas" / "linear.graphql"
pytestmark = pytest.mark.skipif(not SCHEMA.is_file(), reason="Linear's schema is not there")

LARGEST = 10_000
"""Points of a single query (https://linear.app/developers/rate-limiting)."""


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(SCHEMA.read_text())


@pytest.mark.parametrize("listed", TYPES, ids=lambda each: each.name)
def test_each_query_is_valid(schema: GraphQLSchema, listed: Type) -> None:
    texts = [list_text(listed, "createdAt", windowed=False), list_text(listed, "updatedAt", windowed=listed.filtered)]
    for text in [*texts, *([one_text(listed)] if listed.one else [])]:
        assert validate(schema, parse(text)) == []


@pytest.mark.parametrize("listed", TYPES, ids=lambda each: each.name)
def test_no_page_costs_more_than_a_query_may(listed: Type) -> None:
    assert SIZE * points(listed.name) <= LARGEST


def test_what_takes_a_filter_by_update_is_known_as_such(schema: GraphQLSchema) -> None:
    assert schema.query_type is not None
    for listed in TYPES:
        arguments = schema.query_type.fields[listed.field].args
        fields = arguments["filter"].type.fields if "filter" in arguments else {}  # type: ignore[union-attr]
        assert listed.filtered == ("updatedAt" in fields), listed.name
        assert listed.disabled == ("includeDisabled" in arguments)


def test_every_connection_is_a_collection_but_searches_and_inboxes(schema: GraphQLSchema) -> None:
    assert schema.query_type is not None
    listed = {name for name, field in schema.query_type.fields.items() if str(field.type).endswith("Connection!")}
    left_out = {
        *("administrableTeams", "attachmentsForURL", "issueSearch", "issueFigmaFileKeySearch"),
        *("notifications", "notificationSubscriptions"),
    }
    assert listed - {each.field for each in TYPES} == left_out
