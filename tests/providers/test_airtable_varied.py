"""Whatever of Airtable's documented manners an answer has or lacks, the same records are read of it; and what is
refused is told, and deletes nothing."""

from dataclasses import replace
from functools import cache
from typing import Any

import orjson
import pytest
from varied import Varied, Vary, as_it_is, bodies, no_headers, rows, without

from headrace.clock import from_unix
from headrace.http import Request, Response
from headrace.providers.airtable import AIRTABLE
from headrace.providers.airtable.access import TOKEN
from headrace.providers.airtable.account import DISCOVERY
from headrace.providers.airtable.tables import Table
from headrace.providers.kit import EVERYTHING, Account, Cursor, Faulted, Found, Provider
from headrace.providers.kit.checks import drive
from headrace.testing.airtable import AirtableServer
from headrace.testing.airtable.world import ENTERPRISE

UNTIL = 1_790_000_000.0
PROPERTIES = {"token": "patHeadrace", "enterprise_account_id": ENTERPRISE}


@cache
def server() -> AirtableServer:
    """One for all readings, none of which changes it."""
    return AirtableServer(120, seed=5, until=UNTIL)


def at(vary: Vary = as_it_is) -> Varied:
    return Varied(AIRTABLE, server(), PROPERTIES, "airtable_token", vary)


def found(varied: Varied) -> dict[str, Found]:
    """What the search finds, by the ids of the collections."""
    made: dict[str, Found] = {}
    cursor: Cursor | None = None
    while True:
        steps: Any = DISCOVERY.page(varied.context(), cursor)
        told: Any = drive(steps, varied.respond)[0]
        page, cursor = told
        made |= {each.collection_id or f"airtable:{each.scope}.{each.upstream_id}": each for each in page}
        if cursor is None:
            return made


def of_account(varied: Varied) -> tuple[Varied, list[str]]:
    """The same, with the collections that the account has."""
    known = found(varied)
    provider: Provider = AIRTABLE.of_account(known)
    return replace(varied, provider=provider), sorted([*known, *(each.id for each in AIRTABLE.collections)])


def read(vary: Vary) -> dict[tuple[str, str], object]:
    varied, collections = of_account(at(vary))
    return varied.read(*collections)


def with_null(*names: str) -> Vary:
    def change(body: dict[str, object]) -> dict[str, object]:
        return {**dict.fromkeys(names), **body}

    return bodies(change)


def extra(body: dict[str, object]) -> dict[str, object]:
    return {**body, "somethingNew": {"a": [1, None]}}


def without_cells(row: dict[str, object]) -> dict[str, object]:
    """A row as it is where cells were emptied: they are left out."""
    fields = row.get("fields")
    return {**row, "fields": dict([*fields.items()][:1])} if isinstance(fields, dict) else row


VARIATIONS: dict[str, Vary] = {
    "no headers": no_headers,
    "offset null on the last page": with_null("offset"),
    "fields that are new": bodies(extra),
    "bases without a level of permission": rows("bases", without("permissionLevel")),
    "persons under their older name alone": bodies(without("individualCollaborators")),
    "persons under their newer name alone": bodies(without("collaborators")),
    "tables without what describes them": rows("tables", without("views", "description")),
}


TELLING = frozenset({"airtable:base", "airtable:table", "airtable:user"})
"""Collections whose records are what a variation changes."""


@pytest.fixture(scope="module")
def told() -> dict[tuple[str, str], object]:
    return read(as_it_is)


@pytest.mark.parametrize("name", VARIATIONS)
def test_any_documented_variation_gives_the_same_records(name: str, told: dict[tuple[str, str], object]) -> None:
    given = read(VARIATIONS[name])
    assert given.keys() == told.keys()
    assert {key for key in told if given[key] != told[key]} <= {key for key in told if key[0] in TELLING}


def test_cells_that_are_left_out_are_left_out(told: dict[tuple[str, str], object]) -> None:
    given = read(rows("records", without_cells))
    assert given.keys() == told.keys()
    assert given != told


ABSENT: dict[str, Response] = {
    "as Airtable says it": Response(404, b'{"error":"NOT_FOUND"}', from_unix(UNTIL)),
    "as a web page": Response(404, b"<pre>Cannot GET</pre>", from_unix(UNTIL), {"content-type": "text/html"}),
    "not implemented": Response(501, b'{"error":"NOT_IMPLEMENTED"}', from_unix(UNTIL)),
}


@pytest.mark.parametrize("how", ABSENT)
def test_without_webhooks_tables_are_found_and_read(how: str, told: dict[tuple[str, str], object]) -> None:
    def vary(request: Request, response: Response) -> Response:
        return ABSENT[how] if request.url.endswith("/webhooks") else response

    varied, collections = of_account(at(vary))
    tables = [key for key in collections if key.startswith("airtable:app")]
    assert varied.read(*tables).keys() == {key for key in told if key[0] in tables}
    assert not varied.provider.feeds
    for key in tables:
        collection = varied.provider.collection(key)
        assert collection is not None
        assert collection.sweep_every is not None, "changes are found without a log"


@pytest.mark.parametrize("how", ABSENT)
def test_without_an_address_of_the_user_the_token_is_tried_on_the_bases(how: str) -> None:
    varied = at(lambda request, response: ABSENT[how] if request.url.endswith("/whoami") else response)
    account, asked = drive(TOKEN.verify(varied.properties, from_unix(UNTIL)), varied.respond)  # type: ignore[arg-type]
    assert account == Account("", narrow=True)  # type: ignore[comparison-overlap]
    assert [request.url for request in asked] == ["/v0/meta/whoami", "/v0/meta/bases"]


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (422, {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "message": "expired"}}, "restart"),
        (422, {"error": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}, "restart"),
        (422, {"error": {"type": "INVALID_OFFSET_VALUE"}}, "restart"),
        (403, {"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}}, "permission"),
        (404, {"error": "NOT_FOUND"}, "gone"),
        (401, {"error": {"type": "AUTHENTICATION_REQUIRED"}}, "auth"),
        (429, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded"}]}, "rate"),
        (413, {"error": {"type": "REQUEST_TOO_LARGE"}}, "config"),
        (503, {"error": {"type": "SERVICE_UNAVAILABLE"}}, "transient"),
    ],
)
def test_a_refused_table_is_told_and_deletes_nothing(status: int, said: object, kind: str) -> None:
    refusal = Response(status, orjson.dumps(said), from_unix(UNTIL))
    varied, collections = of_account(at())
    table = next(key for key in collections if key.startswith("airtable:app"))
    with pytest.raises(Faulted) as raised:
        replace(varied, vary=lambda request, response: refusal).items(table)
    assert raised.value.fault.kind == kind


def test_a_table_that_is_told_by_its_name_is_asked_for_by_it() -> None:
    """Ids of any form stand in paths as one segment."""
    table = Table("airtable:t", "app1", "Größe / Art?")
    asked: list[str] = []

    def respond(request: Request) -> Response:
        asked.append(request.url)
        return Response(200, b'{"id":"a/b","records":[]}', from_unix(UNTIL))

    varied = at()
    drive(table.listing(varied.context(), EVERYTHING, None), respond)
    drive(table.fetch(varied.context(), "a/b", None), respond)
    assert asked[:2] == ["/v0/app1/Gr%C3%B6%C3%9Fe%20%2F%20Art%3F", "/v0/app1/Gr%C3%B6%C3%9Fe%20%2F%20Art%3F/a%2Fb"]
