"""/v1/syncs: what may be said of a sync, and what is answered."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from callers import NOBODY, Caller, Callers

from headrace.api.services import Services

PATH = "/v1/syncs"


@pytest.fixture
async def credential(admin: Caller) -> dict[str, Any]:
    made: dict[str, Any] = await admin.ok(
        "POST", "/v1/credentials", {"properties": {"kind": "shop_key", "secret": "sk_1"}}
    )
    return made


@pytest.fixture
def fields(stream: dict[str, Any], credential: dict[str, Any]) -> dict[str, Any]:
    """The least that a sync needs."""
    return {
        "provider": "shop",
        "stream_id": stream["id"],
        "name": "Choam Corp – Shop",
        "collection_ids": ["shop:order"],
        "credential_id": credential["id"],
    }


@pytest.fixture
async def sync(admin: Caller, fields: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = await admin.ok("POST", PATH, fields)
    return made


async def test_a_sync_is_made_with_defaults(admin: Caller, fields: dict[str, Any], credential: dict[str, Any]) -> None:
    made = await admin.ok("POST", PATH, fields)
    assert made.pop("created_at") == made.pop("updated_at")
    sync_id = made.pop("id")
    assert made == {
        **fields,
        "org_id": str(admin.org_id),
        "status": "active",
        "health": {
            "status": "initializing",
            "sync_id": sync_id,
            "notes": [],
            "last_healthy_at": None,
            "erroring_since": None,
            "consecutive_errors": 0,
        },
        "rate_limit": {"allowed_requests": 600, "interval": 60, "max_concurrent_requests": 4},
        "credential": credential,
        "max_age_days": None,
        "sync_frequency": "continuous",
        "initial_backfill_completed_at": None,
        "external_id": None,
        "max_poll_ms": 60_000,
        "deleted_retention_days": None,
        "metadata": {},
    }
    assert (await admin.ok("GET", f"{PATH}/{sync_id}")).items() >= made.items()


CHANGES = {
    "name": "Another",
    "collection_ids": ["shop:customer", "shop:invoice"],
    "rate_limit": {"allowed_requests": 100, "interval": 60, "max_concurrent_requests": 2},
    "status": "disabled",
    "max_age_days": 0.5,
    "sync_frequency": "4h",
    "metadata": {"custom_property": 42},
    "external_id": "org_42",
    "max_poll_ms": 500,
    "deleted_retention_days": 30,
}


async def test_every_field_can_be_given(admin: Caller, fields: dict[str, Any]) -> None:
    made = await admin.ok("POST", PATH, {**fields, **CHANGES})
    assert made.items() >= CHANGES.items()
    assert (await admin.ok("GET", f"{PATH}/{made['id']}")).items() >= CHANGES.items()


async def test_every_field_can_be_changed_at_once(admin: Caller, sync: dict[str, Any]) -> None:
    changed = await admin.ok("PATCH", f"{PATH}/{sync['id']}", CHANGES)
    assert changed.items() >= CHANGES.items()
    assert changed["updated_at"] > sync["updated_at"]
    shown = await admin.ok("GET", f"{PATH}/{sync['id']}")
    assert shown.items() >= CHANGES.items()
    assert shown["updated_at"] == changed["updated_at"]


@pytest.mark.parametrize("field", CHANGES)
async def test_every_field_can_be_changed_alone(admin: Caller, sync: dict[str, Any], field: str) -> None:
    changed = await admin.ok("PATCH", f"{PATH}/{sync['id']}", {field: CHANGES[field]})
    differing = {name for name in sync if changed[name] != sync[name]} - {"health", "initial_backfill_completed_at"}
    assert differing == {field, "updated_at"}
    assert changed[field] == CHANGES[field]


@pytest.mark.parametrize("field", ["rate_limit", "max_age_days", "external_id", "deleted_retention_days"])
async def test_null_goes_back_to_the_default(admin: Caller, sync: dict[str, Any], field: str) -> None:
    await admin.ok("PATCH", f"{PATH}/{sync['id']}", CHANGES)
    assert (await admin.ok("PATCH", f"{PATH}/{sync['id']}", {field: None}))[field] == sync[field]


@pytest.mark.parametrize("field", ["name", "collection_ids", "status", "sync_frequency", "metadata", "max_poll_ms"])
async def test_null_elsewhere_is_a_422(admin: Caller, sync: dict[str, Any], field: str) -> None:
    assert set(await admin.invalid("PATCH", f"{PATH}/{sync['id']}", {field: None})) == {field}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Choam Corp – Shop", "status": "active", "metadata": {}},
        {"id": "x", "org_id": None, "health": 1, "initial_backfill_completed_at": 2, "created_at": 3, "updated_at": 4},
    ],
)
async def test_a_patch_that_changes_nothing_leaves_updated_at(
    admin: Caller, sync: dict[str, Any], body: dict[str, Any]
) -> None:
    changed = await admin.ok("PATCH", f"{PATH}/{sync['id']}", body)
    assert changed["updated_at"] == sync["updated_at"]
    assert changed == await admin.ok("GET", f"{PATH}/{sync['id']}")


async def test_what_was_read_can_be_sent_back_without_the_fixed_fields(admin: Caller, sync: dict[str, Any]) -> None:
    shown = await admin.ok("GET", f"{PATH}/{sync['id']}")
    for name in ("credential", "credential_id", "provider", "stream_id"):
        del shown[name]
    changed = await admin.ok("PATCH", f"{PATH}/{sync['id']}", shown)
    assert {name: changed[name] for name in shown if name not in ("rate_limit", "updated_at")} == {
        name: shown[name] for name in shown if name not in ("rate_limit", "updated_at")
    }
    assert changed["rate_limit"] == sync["rate_limit"]


@pytest.mark.parametrize("field", ["credential", "credential_id", "provider", "stream_id"])
async def test_fixed_fields_cannot_be_updated_and_nothing_else_is_applied(
    admin: Caller, sync: dict[str, Any], field: str
) -> None:
    errors = await admin.invalid("PATCH", f"{PATH}/{sync['id']}", {field: sync[field], "name": "Changed"})
    assert list(errors) == [field]
    assert "cannot be updated" in errors[field][0]
    assert (await admin.ok("GET", f"{PATH}/{sync['id']}"))["name"] == sync["name"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": 5}, "name"),
    ({"collection_ids": []}, "collection_ids"),
    ({"collection_ids": "shop:order"}, "collection_ids"),
    ({"collection_ids": ["shop:order", "shop:order"]}, "collection_ids"),
    ({"collection_ids": ["shop:nothing"]}, "collection_ids"),
    ({"collection_ids": ["other:order"]}, "collection_ids"),
    ({"collection_ids": ["shop:order", 5]}, "collection_ids.1"),
    ({"rate_limit": 5}, "rate_limit"),
    ({"rate_limit": {}}, "rate_limit.allowed_requests"),
    ({"rate_limit": {"allowed_requests": 1}}, "rate_limit.interval"),
    ({"rate_limit": {"allowed_requests": 0, "interval": 1}}, "rate_limit.allowed_requests"),
    ({"rate_limit": {"allowed_requests": 1.5, "interval": 1}}, "rate_limit.allowed_requests"),
    ({"rate_limit": {"allowed_requests": True, "interval": 1}}, "rate_limit.allowed_requests"),
    ({"rate_limit": {"allowed_requests": "1", "interval": 1}}, "rate_limit.allowed_requests"),
    ({"rate_limit": {"allowed_requests": 1, "interval": 0}}, "rate_limit.interval"),
    ({"rate_limit": {"allowed_requests": 1, "interval": 10**30}}, "rate_limit.interval"),
    (
        {"rate_limit": {"allowed_requests": 1, "interval": 1, "max_concurrent_requests": -1}},
        "rate_limit.max_concurrent_requests",
    ),
    (
        {"rate_limit": {"allowed_requests": 1, "interval": 1, "max_concurrent_requests": None}},
        "rate_limit.max_concurrent_requests",
    ),
    ({"rate_limit": {"allowed_requests": 1, "interval": 1, "per": "s"}}, "rate_limit.per"),
    ({"status": "paused"}, "status"),
    ({"max_age_days": 0}, "max_age_days"),
    ({"max_age_days": -1}, "max_age_days"),
    ({"max_age_days": 36_501}, "max_age_days"),
    ({"max_age_days": "365"}, "max_age_days"),
    ({"max_age_days": True}, "max_age_days"),
    ({"max_age_days": 10**400}, "max_age_days"),
    ({"sync_frequency": "1h"}, "sync_frequency"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"a": "x" * 16_400}}, "metadata"),
    ({"external_id": ""}, "external_id"),
    ({"external_id": 5}, "external_id"),
    ({"max_poll_ms": 499}, "max_poll_ms"),
    ({"max_poll_ms": 3_600_001}, "max_poll_ms"),
    ({"deleted_retention_days": 0}, "deleted_retention_days"),
    ({"frequency": "4h"}, "frequency"),
]


@pytest.mark.parametrize(("given", "field"), WRONG)
async def test_fields_that_do_not_hold(
    admin: Caller, fields: dict[str, Any], given: dict[str, Any], field: str
) -> None:
    """The same rules hold for POST and PATCH; and nothing of a request that is refused is applied."""
    sync = await admin.ok("POST", PATH, fields)
    made = await admin.invalid("POST", PATH, {**fields, "external_id": "x", **given})
    assert field in made
    assert set(made) <= {field, "rate_limit.interval"}
    changed = await admin.invalid("PATCH", f"{PATH}/{sync['id']}", {"external_id": "x", **given})
    assert changed == made
    assert (await admin.ok("GET", PATH))["data"][0]["external_id"] is None


@pytest.mark.parametrize("interval", [2**31, 2**60, 10**30, 10**400])
async def test_a_number_that_is_too_large_is_called_so(admin: Caller, sync: dict[str, Any], interval: int) -> None:
    given = {"rate_limit": {"allowed_requests": 1, "interval": interval}}
    [reason] = (await admin.invalid("PATCH", f"{PATH}/{sync['id']}", given))["rate_limit.interval"]
    assert reason in ("must be at most 2147483647", "is too large a number")


@pytest.mark.parametrize("max_age_days", [0.5, 365, 36_500, 1e-6])
async def test_a_number_of_days_reads_back_as_given(admin: Caller, sync: dict[str, Any], max_age_days: float) -> None:
    answer = await admin("PATCH", f"{PATH}/{sync['id']}", {"max_age_days": max_age_days})
    assert answer.json()["max_age_days"] == max_age_days
    assert isinstance(answer.json()["max_age_days"], type(max_age_days))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"provider": "nobody"}, "provider"),
        ({"provider": None}, "provider"),
        ({"stream_id": NOBODY}, "stream_id"),
        ({"stream_id": "x"}, "stream_id"),
        ({"credential_id": NOBODY}, "credential_id"),
        ({"credential_id": None}, "credential_id"),
        ({"credential": {"properties": {"kind": "shop_key", "secret": "sk"}}}, "credential"),
    ],
)
async def test_what_a_new_sync_belongs_to_must_be_there(
    admin: Caller, fields: dict[str, Any], given: dict[str, Any], field: str
) -> None:
    assert field in await admin.invalid("POST", PATH, {**fields, **given})
    assert (await admin.ok("GET", PATH))["data"] == []


@pytest.mark.parametrize("field", ["provider", "stream_id", "name", "collection_ids", "credential_id"])
async def test_what_a_new_sync_needs(admin: Caller, fields: dict[str, Any], field: str) -> None:
    del fields[field]
    errors = await admin.invalid("POST", PATH, fields)
    assert errors in ({field: ["is required"]}, {"credential": ["give exactly one of credential and credential_id"]})


async def test_a_credential_can_be_given_inline(admin: Caller, fields: dict[str, Any]) -> None:
    del fields["credential_id"]
    inline = {"properties": {"kind": "shop_key", "secret_key": "sk_9"}, "name": "mine", "metadata": {"a": 1.0}}
    made = await admin.ok("POST", PATH, {**fields, "credential": inline})
    assert made["credential"]["name"] == "mine"
    assert made["credential"]["properties"]["secret"] == "***********"
    held = await admin.ok("GET", f"/v1/credentials/{made['credential_id']}")
    assert held == made["credential"]


@pytest.mark.parametrize(
    ("inline", "field"),
    [
        (5, "credential"),
        ({}, "credential.properties"),
        ({"properties": {}}, "credential.properties.kind"),
        ({"properties": {"kind": "other_key", "secret": "x"}}, "credential.properties.kind"),
        ({"properties": {"kind": "shop_key"}}, "credential.properties.secret"),
        ({"properties": {"kind": "shop_key", "secret": "***********"}}, "credential.properties.secret"),
        ({"properties": {"kind": "shop_key", "secret": "bad_1"}}, "credential.properties.secret"),
    ],
)
async def test_an_inline_credential_that_does_not_hold_leaves_nothing(
    admin: Caller, stream: dict[str, Any], inline: Any, field: str
) -> None:
    body = {
        "provider": "shop",
        "stream_id": stream["id"],
        "name": "x",
        "collection_ids": ["shop:order"],
        "credential": inline,
    }
    assert set(await admin.invalid("POST", PATH, body)) == {field}
    assert (await admin.ok("GET", "/v1/credentials"))["data"] == []
    assert (await admin.ok("GET", PATH))["data"] == []


async def test_another_organisations_stream_and_credential_are_not_there(
    admin: Caller, stranger: Caller, fields: dict[str, Any]
) -> None:
    errors = await stranger.invalid("POST", PATH, fields)
    assert set(errors) == {"stream_id"}
    theirs = await stranger.ok("POST", "/v1/streams", {"slug": "theirs"})
    errors = await stranger.invalid("POST", PATH, {**fields, "stream_id": theirs["id"]})
    assert set(errors) == {"credential_id"}


async def test_syncs_are_filtered(admin: Caller, fields: dict[str, Any]) -> None:
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    one = await admin.ok("POST", PATH, {**fields, "name": "one", "external_id": "e1", "metadata": {"a": {"b": 1.0}}})
    two = await admin.ok("POST", PATH, {**fields, "stream_id": other["id"], "name": "two", "status": "disabled"})
    ids = {one["id"]: "one", two["id"]: "two"}

    async def found(**params: str) -> list[str]:
        return [ids[each["id"]] for each in (await admin.ok("GET", PATH, params=params))["data"]]

    assert await found() == ["one", "two"]
    assert await found(provider="shop") == ["one", "two"]
    assert await found(provider="other") == []
    assert await found(stream_id=other["id"]) == ["two"]
    assert await found(status="disabled") == ["two"]
    assert await found(name="one") == ["one"]
    assert await found(external_id="e1") == ["one"]
    assert await found(credential_id=fields["credential_id"]) == ["one", "two"]
    assert await found(credential_id=str(uuid4())) == []
    assert await found(metadata='{"a": {"b": 1}}') == ["one"]
    assert await found(**{"health.status": "initializing"}) == ["one", "two"]
    for health in ("healthy", "ok", "warning", "warn", "error"):
        assert await found(**{"health.status": health}) == []
    for name, wrong in (("status", "paused"), ("health.status", "fine"), ("stream_id", "x"), ("metadata", "[]")):
        await admin.fails(400, "GET", PATH, params={name: wrong})
    assert [each["id"] for each in (await admin.ok("GET", PATH, {"health": {"status": "ok"}}))["data"]] == []
    nested = await admin.ok("GET", PATH, {"metadata": {"a": {"b": 1}}, "health": {"status": "initializing"}})
    assert [each["id"] for each in nested["data"]] == [one["id"]]


async def test_a_filter_by_health_fills_its_pages(admin: Caller, fields: dict[str, Any], services: Services) -> None:
    made = [await admin.ok("POST", PATH, {**fields, "name": str(number)}) for number in range(7)]
    healthy = [made[1]["id"], made[4]["id"], made[6]["id"]]
    await services.db.api.execute(
        """
        update sync_states
        set health_status = 'healthy', last_healthy_at = now(), last_success_at = now(), last_read_at = now()
        where sync_id = any ($1)
        """,
        [UUID(id_) for id_ in healthy],
    )
    seen: list[str] = []
    cursor = None
    while True:
        params = {"health.status": "healthy", "limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = await admin.ok("GET", PATH, params=params)
        seen += [each["id"] for each in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
        assert len(page["data"]) == 1
    assert seen == healthy


async def test_a_deleted_sync_is_gone(admin: Caller, sync: dict[str, Any], stream: dict[str, Any]) -> None:
    path = f"{PATH}/{sync['id']}"
    plan = await admin.ok("DELETE", path, params={"dry_run": "true"})
    assert plan["dry_run"] is True
    assert sync["id"] in plan["affects"]
    await admin.invalid("DELETE", f"/v1/streams/{stream['id']}", None)
    assert await admin.ok("DELETE", path) == {"id": sync["id"], "deleted": True}
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        await admin.fails(404, method, path, body)
    assert (await admin.ok("GET", PATH))["data"] == []
    await admin.ok("DELETE", f"/v1/credentials/{sync['credential_id']}")
    await admin.ok("DELETE", f"/v1/streams/{stream['id']}")


async def test_a_dry_run_of_a_patch_changes_nothing(admin: Caller, sync: dict[str, Any]) -> None:
    path = f"{PATH}/{sync['id']}"
    plan = await admin.ok("PATCH", path, CHANGES, params={"dry_run": "true"})
    assert set(plan) == {"dry_run", "backfill", "purge", "affects"}
    assert sorted(each["collection_id"] for each in plan["backfill"]) == ["shop:customer", "shop:invoice"]
    assert await admin.ok("GET", path) == sync
    await admin.invalid("PATCH", path, {"name": ""}, params={"dry_run": "true"})


async def test_a_dry_run_of_a_new_sync_or_a_backfill_reads_and_makes_nothing(
    admin: Caller, fields: dict[str, Any]
) -> None:
    dry = {"dry_run": "true"}
    told = await admin.ok("POST", PATH, fields, params=dry)
    assert [each["collection_id"] for each in told["backfill"]] == sorted(fields["collection_ids"])
    assert told["purge"] == told["affects"] == []
    inline = {name: value for name, value in fields.items() if name != "credential_id"}
    inline["credential"] = {"properties": {"kind": "shop_key", "secret": "sk_10"}}
    response = await admin("POST", PATH, inline, params=dry)
    assert set(response.json()["validation_errors"]) == {"credential"}
    assert (await admin.ok("GET", PATH))["data"] == []
    sync = await admin.ok("POST", PATH, fields)
    again = await admin.ok("POST", f"{PATH}/{sync['id']}/backfills", params=dry)
    assert again == {**told, "affects": [sync["id"]]}
    assert await admin.ok("GET", f"{PATH}/{sync['id']}") == sync


async def test_a_token_for_some_streams_reaches_their_syncs_only(
    admin: Caller, callers: Callers, fields: dict[str, Any], sync: dict[str, Any]
) -> None:
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    theirs = await admin.ok("POST", PATH, {**fields, "stream_id": other["id"]})
    limited = await callers.of(admin.org_id, ["admin"], streams=[UUID(fields["stream_id"])])
    assert [each["id"] for each in (await limited.ok("GET", PATH))["data"]] == [sync["id"]]
    await limited.ok("PATCH", f"{PATH}/{sync['id']}", {"name": "mine"})
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        await limited.fails(404, method, f"{PATH}/{theirs['id']}", body)
    await limited.fails(403, "POST", PATH, fields)


async def test_backfills_and_runs_are_started(admin: Caller, sync: dict[str, Any]) -> None:
    path = f"{PATH}/{sync['id']}"
    assert (await admin.ok("POST", f"{path}/backfills"))["id"] == sync["id"]
    assert (await admin.ok("POST", f"{path}/backfills", {"collection_ids": ["shop:order"]}))["id"] == sync["id"]
    assert (await admin.ok("POST", f"{path}/run"))["id"] == sync["id"]
    for wrong in ({"collection_ids": ["shop:invoice"]}, {"collection_ids": []}, {"collections": []}):
        await admin.invalid("POST", f"{path}/backfills", wrong)


async def test_the_collections_of_a_sync_are_shown(admin: Caller, sync: dict[str, Any]) -> None:
    (shown,) = (await admin.ok("GET", f"{PATH}/{sync['id']}/collections"))["data"]
    assert shown["id"] == "shop:order"
    assert shown["held_deletes"] is None


async def test_waiting_ends_when_its_time_is_over(admin: Caller, sync: dict[str, Any]) -> None:
    """No engine runs here: nothing is ever read."""
    answer = await admin("GET", f"{PATH}/{sync['id']}/wait", params={"timeout_ms": "10"})
    assert answer.status_code == 504
    assert answer.json()["ok"] is False
    assert [each["id"] for each in answer.json()["collections"]] == ["shop:order"]
    for params in ({"level": "tail"}, {"timeout_ms": "-1"}, {"timeout_ms": "300001"}):
        await admin.fails(400, "GET", f"{PATH}/{sync['id']}/wait", params=params)


async def test_deletes_that_are_not_held_back_cannot_be_confirmed(admin: Caller, sync: dict[str, Any]) -> None:
    path = f"{PATH}/{sync['id']}/collections/shop:order/confirm-deletes"
    assert set(await admin.invalid("POST", path, {"sweep_id": str(uuid4())})) == {"sweep_id"}
    assert set(await admin.invalid("POST", path, {"sweep_id": "x"})) == {"sweep_id"}
    assert set(await admin.invalid("POST", path, {})) == {"sweep_id"}
    await admin.fails(404, "POST", path.replace("shop:order", "shop:invoice"), {"sweep_id": str(uuid4())})


async def test_the_webhook_address_is_told_once(admin: Caller, sync: dict[str, Any], services: Services) -> None:
    answer = await admin.ok("PUT", f"{PATH}/{sync['id']}/webhook", {"signing_secret": "whsec_conspicuous"})
    assert answer["url"].startswith(f"https://headrace.example/webhooks/{sync['id']}/")
    (row,) = await services.db.api.fetch("select s::text as text from syncs s")
    assert b"whsec_conspicuous".hex() not in row["text"]
    assert answer["url"].rsplit("/")[-1] not in row["text"]
    for wrong in ({}, {"signing_secret": ""}, {"signing_secret": 5}, {"signing_secret": "x", "url": "y"}):
        await admin.invalid("PUT", f"{PATH}/{sync['id']}/webhook", wrong)
