"""What Airtable answers, as pyairtable's own tests have it (tests/sample_data, MIT), is read as it is meant."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from headrace.http import Request, Response
from headrace.providers.airtable import AIRTABLE
from headrace.providers.airtable.account import DISCOVERY, OF_SOME
from headrace.providers.airtable.comments import Comments
from headrace.providers.airtable.schema import schema, volatile
from headrace.providers.airtable.tables import Table
from headrace.providers.airtable.webhooks import Log, usable
from headrace.providers.kit import EVERYTHING, Context, Delete, Delivery, Item, NotGenuine, Record
from headrace.providers.kit.checks import drive, walk
from headrace.testing.airtable.webhooks import made_secret, signature

RECORDED = Path(__file__).parents[3] / "shared" / "evidence" / "recorded" / "airtable"
NOW = datetime(2022, 2, 1, 21, 30, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers are not there")


def body(case: str) -> Any:
    return orjson.loads((RECORDED / f"pyairtable__{case}.json").read_bytes())["exchanges"][0]["body"]


def answer(value: Any) -> Response:
    return Response(200, orjson.dumps(value), NOW, {"content-type": "application/json"})


def listed(name: str, respond: Any, partition: str | None = None) -> list[Record]:
    """What a fixed collection reads."""
    ctx = Context({"enterprise_account_id": "entUBq2RGdihxl3vU"}, NOW, partition=partition)
    collection = OF_SOME.get(f"airtable:{name}") or AIRTABLE.collection(f"airtable:{name}")
    assert collection is not None
    assert collection.listing is not None
    items = [item for page in walk(collection.listing.page, ctx, EVERYTHING, respond) for item in page.items]
    return [item for item in items if isinstance(item, Record)]


def bases_and(path: str, value: Any) -> Any:
    return lambda request: answer(body("Bases") if request.url == "/v0/meta/bases" else value)


def test_bases_and_their_tables() -> None:
    assert [each.id for each in listed("base", lambda request: answer(body("Bases")))] == [
        "appLkNDICXNqxSDhG", "appSW9R5uCNmRmfl6",
    ]  # fmt: skip
    tables = listed("table", bases_and("tables", body("BaseSchema")))
    assert [each.id for each in tables][:2] == [
        "appLkNDICXNqxSDhG/tbltp8DGLhqbUmjK1", "appLkNDICXNqxSDhG/tblK6MZHez0ZvBChZ",
    ]  # fmt: skip
    assert len(tables) == 4


def test_who_may_work_in_a_base() -> None:
    base = "appLkNDICXNqxSDhG"
    told = listed("collaborator", lambda request: answer(body("BaseCollaborators")), base)
    assert [each.id for each in told] == [
        f"{base}/usrsOEchC9xuwRgKk", f"{base}/workspace/usrL2PNC5o3H4lBEi",
        f"{base}/ugpR8ZT9KtIgp8Bh3", f"{base}/workspace/ugp1mKGb3KXUyQfOZ",
    ]  # fmt: skip
    assert {(each.partition, each.parent) for each in told} == {(base, base)}
    assert told[0].created == datetime(2019, 1, 3, 12, 33, 12, 421_000, UTC)


def test_an_enterprises_log_is_read_from_its_newest_event_to_its_oldest() -> None:
    def respond(request: Request) -> Response:
        asked.append(dict(request.query).get("previous"))
        assert request.url == "/v0/meta/enterpriseAccounts/entUBq2RGdihxl3vU/auditLogEvents"
        return answer(body("AuditLogResponse") if len(asked) < 2 else {"events": [], "pagination": {"next": "x"}})

    asked: list[str | None] = []
    events = listed("audit_event", respond)
    assert [each.id for each in events] == ["01FYFFDE39BDDBC0HWK51R6GPF"]
    assert events[0].created == datetime(2022, 2, 1, 21, 25, 5, 663_000, UTC)
    assert asked == [None, "MDFHUk5ITVhNMEE4UFozTlg1SlFaRlMyOFM="]


def test_webhooks_and_whether_they_tell_everything() -> None:
    webhook = body("Webhook")
    (one, _) = listed("webhook", bases_and("webhooks", {"webhooks": [webhook]}))
    assert one.id == "appLkNDICXNqxSDhG/ach00000000000001"
    assert not usable(webhook, NOW)  # it is narrowed to a table
    everything = {"options": {"filters": {"dataTypes": ["tableData"]}}}
    assert usable({**webhook, "specification": everything}, NOW)
    assert not usable({**webhook, "specification": everything}, datetime(2023, 1, 25, tzinfo=UTC))


def test_each_type_of_field_has_a_schema() -> None:
    fields = [body(path.stem.partition("__")[2]) for path in sorted(RECORDED.glob("*FieldSchema.json"))]
    assert len(fields) > 30
    made = schema({"id": "tbl1", "fields": fields})
    Draft202012Validator.check_schema(made)
    told = made["properties"]["fields"]["properties"]
    silent = {field["type"] for field in fields if "type" not in told[field["id"]]}
    assert silent <= {"hologram", "UNKNOWN", "notARealType", *(f["type"] for f in fields if f["name"] == "Unknown")}
    attachments = {field["id"] for field in fields if field["type"] == "multipleAttachments"}
    assert {path.split(".")[1] for path in volatile(fields)} >= attachments


def test_a_table_has_a_schema() -> None:
    made = schema(body("TableSchema"))
    Draft202012Validator.check_schema(made)
    assert made["properties"]["fields"]["properties"].keys() == {each["id"] for each in body("TableSchema")["fields"]}


def test_an_account_is_found_with_its_tables() -> None:
    answers = {"bases": body("Bases"), "tables": body("BaseSchema"), "webhooks": {"webhooks": []}}
    steps = DISCOVERY.page(Context({}, NOW), None)
    request = next(steps)
    for _ in range(2):
        request = steps.send(answer(answers[request.url.rpartition("/")[2]]))
    asked = steps.send(answer(answers["webhooks"]))
    assert (asked.url, asked.query) == ("/v0/meta/bases/appLkNDICXNqxSDhG", (("include", "collaborators"),))
    with pytest.raises(StopIteration) as stop:
        steps.send(answer(body("BaseCollaborators")))
    found, cursor = stop.value.value
    assert [(each.upstream_id, each.name) for each in found] == [
        ("tbltp8DGLhqbUmjK1", "Apartment Hunting: Apartments"),
        ("tbltp8DGLhqbUmjK1/comments", "Apartment Hunting: Apartments, comments"),
        ("tblK6MZHez0ZvBChZ", "Apartment Hunting: Districts"),
        ("tblK6MZHez0ZvBChZ/comments", "Apartment Hunting: Districts, comments"),
        ("airtable:collaborator", "collaborator"),
    ]
    assert cursor == {"left": [["appSW9R5uCNmRmfl6", "Project Tracker", "edit"]], "offset": None, "shared": True}


def test_a_payload_names_what_happened() -> None:
    payload = {**body("WebhookPayload"), "changedTablesById": {"tbl1": body("WebhookPayload.TableChanged")}}
    log = Log("app1", {"tbl1": Table("airtable:t", "app1", "tbl1")})
    token = {"webhook": "ach1", "cursor": 4, "checked": NOW.isoformat()}

    def respond(request: Request) -> Response:
        if "filterByFormula" in dict(request.query):
            keys = ("rec00000000000000", "rec00000000000001")
            return answer(
                {"records": [{"id": key, "createdTime": "2022-02-01T21:25:05.663Z", "fields": {}} for key in keys]}
            )
        return answer({"payloads": [payload], "cursor": 5, "mightHaveMore": False})

    page, _ = drive(log.page(Context({}, NOW, frozenset({"airtable:t"})), EVERYTHING, token), respond)
    named: list[Item] = page.items
    assert [(type(item).__name__, item.id) for item in named if isinstance(item, Record | Delete)] == [
        ("Delete", "rec00000000000002"), ("Record", "rec00000000000000"), ("Record", "rec00000000000001"),
    ]  # fmt: skip


def test_comments_belong_to_their_record() -> None:
    comments = Comments("airtable:c", "app1", "tbl1", "fld1")

    def respond(request: Request) -> Response:
        if request.url.endswith("/comments"):
            return answer({"comments": [body("Comment")], "offset": None})
        return answer({"records": [{"id": "rec1", "commentCount": 1}, {"id": "rec2", "commentCount": 0}]})

    (page,) = walk(comments.listing, Context({}, NOW), EVERYTHING, respond)
    (comment,) = page.items
    assert isinstance(comment, Record)
    assert (comment.id, comment.parent) == ("comLkNDICXNqxSDhG", "rec1")
    assert comment.updated == datetime(2019, 1, 3, 12, 33, 12, 421_000, UTC)


def test_a_notification_is_genuine_when_it_is_signed() -> None:
    text, secret = orjson.dumps(body("WebhookNotification")), made_secret("ach00000000000000")
    hook = AIRTABLE.hook
    assert hook is not None
    assert hook.read(Delivery({"x-airtable-content-mac": signature(secret, text)}, text), secret, NOW) == []
    with pytest.raises(NotGenuine):
        hook.read(Delivery({"x-airtable-content-mac": "hmac-sha256=00"}, text), secret, NOW)
