"""Linear's queries are queries of Linear's own schema, which stands beside the repository (MIT)."""

import runpy
from importlib.resources import files
from pathlib import Path

import pytest
from graphql import (
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    parse,
    validate,
)

from headrace.providers.linear.reading import SIZE, list_text, one_text, whole_text
from headrace.providers.linear.schemas import points, read
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
    texts = [whole_text(listed)] if listed.whole else texts
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


def test_what_goes_to_the_trash_first_is_known_as_such(schema: GraphQLSchema) -> None:
    assert {each.name for each in TYPES if each.trashed} == {
        each.name for each in TYPES if "trashed" in fields(schema, each)
    }


def test_every_field_is_read_but_those_that_are_left_out_with_a_reason(schema: GraphQLSchema) -> None:
    """What is internal, deprecated, needs an argument, or is a list of objects, is no field of a record."""
    for listed in TYPES:
        left_out = {name for name, field in fields(schema, listed).items() if is_plain(field)} - set(asked(listed))
        assert left_out <= LEFT_OUT, listed.name


LEFT_OUT = {
    *("bodyData", "documentContent", "favorite", "viewPreferencesValues"),
    *("integrationsSettings", "securitySettings", "scimGroupName", "scimManaged", "secret"),
    *("authSettings", "ipRestrictions", "subscription"),
}
"""The texts are there in another form; what is the reader's own; what is an administrator's; a secret."""


def fields(schema: GraphQLSchema, listed: Type) -> dict[str, GraphQLField]:
    assert schema.query_type is not None
    node = get_named_type(schema.query_type.fields[listed.field].type)
    if not listed.whole:
        node = get_named_type(node.fields["nodes"].type)  # type: ignore[union-attr]
    assert isinstance(node, GraphQLObjectType)
    return node.fields


def asked(listed: Type) -> list[str]:
    return list(read(listed.name)["properties"])


def is_hidden(field: GraphQLField) -> bool:
    """Whether Linear marks it as internal, deprecated, or not ready."""
    text = (field.description or "").upper()
    return bool(field.deprecation_reason) or any(mark in text for mark in ("[INTERNAL]", "[ALPHA]", "[DEPRECATED]"))


def is_plain(field: GraphQLField) -> bool:
    """Neither internal nor deprecated, and no list of objects that are a collection of their own."""
    kind = get_named_type(field.type)
    several = "[" in str(field.type) and "Node" in {each.name for each in getattr(kind, "interfaces", ())}
    needs = any(isinstance(argument.type, GraphQLNonNull) for argument in field.args.values())
    return not (is_hidden(field) or needs or several or kind.name.endswith("Connection"))


NOT_READ = {
    "a search, or an answer that is made for a question": {
        *("attachmentsForURL", "issueSearch", "issueFigmaFileKeySearch", "issueVcsBranchSearch", "releaseSearch"),
        *("searchDocuments", "searchIssues", "searchProjects", "semanticSearch", "templatesForIntegration"),
        *("initiativeFilterSuggestion", "issueFilterSuggestion", "projectFilterSuggestion"),
        *("issueRepositorySuggestions", "issueTitleSuggestionFromCustomerRequest", "attachmentIssue"),
        *("slaConfigurations", "documentContentHistory", "entityExternalLink", "integrationsSettings"),
        *("emailIntakeAddress", "organizationInviteDetails", "organizationExists", "applicationInfo"),
    },
    "the reader's own": {
        *("administrableTeams", "notification", "notifications", "notificationSubscription"),
        *("notificationSubscriptions", "authenticationSessions", "availableUsers", "userSettings", "viewer"),
        *("pushSubscriptionTest", "rateLimitStatus", "customViewHasSubscribers"),
    },
    "of the administration of sessions and checks": {
        *("userSessions", "ssoUrlFromEmail", "verifyGitHubEnterpriseServerInstallation", "integrationHasScopes"),
        *("issueImportCheckCSV", "issueImportCheckSync", "issueImportJqlCheck"),
    },
    "a part of what a collection has": {"archivedIntegrations"},
    "with an access key of its own": {
        *("latestReleaseByAccessKey", "recentReleasesByAccessKey", "releasePipelineByAccessKey"),
    },
    "the same in every workspace": {"_dummy", "auditEntryTypes", "issuePriorityValues"},
}
"""Of the query root what is no collection, by the reason that docs/providers/linear.md gives."""


def test_whatever_can_be_asked_for_is_a_collection_or_is_not_read_for_a_reason(schema: GraphQLSchema) -> None:
    assert schema.query_type is not None
    offered = {name for name, field in schema.query_type.fields.items() if not is_hidden(field)}
    read_by_field = {field for each in TYPES for field in (each.field, each.one) if field}
    reasons = set().union(*NOT_READ.values())
    assert len(reasons) == sum(map(len, NOT_READ.values()))
    assert offered - read_by_field == {name for name in reasons if not is_hidden(schema.query_type.fields[name])}
    assert not reasons & read_by_field
    page = (Path(__file__).parents[2] / "docs" / "providers" / "linear.md").read_text()
    assert [name for name in reasons - {"_dummy"} if f"`{name}`" not in page] == []


def test_the_packaged_schemas_are_what_the_script_makes_of_linears(schema: GraphQLSchema) -> None:
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "linear_schemas.py"))
    made = {listed.name: script["schema_of"](schema, listed) for listed in TYPES}
    assert made == {listed.name: read(listed.name) for listed in TYPES}
    assert script["server_schema"](schema, made) == (files("headrace.testing.linear") / "schema.graphql").read_text()
