"""The commands against a real server: what a user types, and what comes back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from shell import Shell

from headrace.testing.processes import CommandProcess, ServeProcess
from headrace.testing.stripe import StripeServer


@dataclass
class Place:
    """A server, a provider, and a shell set up for both."""

    shell: Shell
    provider: StripeServer
    server: ServeProcess
    dsn: str


@pytest.fixture
async def place(dsn: str) -> AsyncIterator[Place]:
    async with StripeServer(300) as provider, ServeProcess(database_url=dsn) as server:
        await server.ready()
        env = {"HEADRACE_URL": server.url, "HEADRACE_API_TOKEN": server.token, "MY_STRIPE_KEY": "sk_test_shell"}
        yield Place(Shell(env), provider, server, dsn)


async def make_sync(place: Place) -> None:
    assert (await place.shell("streams", "create", "main")).code == 0
    made = await place.shell(
        *("syncs", "create", "Our account", "--stream", "main", "--provider", "stripe"),
        *("-c", "stripe:customer,stripe:charge", "--kind", "stripe_key", "--secret", "secret=$MY_STRIPE_KEY"),
        *("--property", "name=ours", "--property", "test=true", "--property", f"base_url={place.provider.base_url}"),
        *("--rate-limit", "10000/1", "--metadata", '{"digits": 1.10}', "--json"),
    )
    assert made.json()["metadata"] == {"digits": 1.1}
    assert '"digits":1.10' in made.out
    assert "sk_test_shell" not in made.out


async def test_from_nothing_to_consumed_records(place: Place, tmp_path: Path) -> None:
    await make_sync(place)
    looks = (await place.shell("syncs", "watch", "Our account", "--until-complete", "--every", "0.1")).lines()
    assert looks[-1]["sync"]["initial_backfill_completed_at"] is not None
    expected = place.provider.account.count("customers")
    listed = (await place.shell("records", "list", "-c", "stripe:customer", "--limit", "0", "--json")).lines()
    assert {each["upstream_id"] for each in listed} == set(place.provider.account.ids("customers"))

    assert (await place.shell("consumers", "create", "mine", "--stream", "main", "-c", "stripe:customer")).code == 0
    printed = (await place.shell("consume", "mine", "--count", "10")).lines()
    assert len({each["upstream_id"] for each in printed}) == 10
    kept = tmp_path / "kept"
    rest = await place.shell("consume", "mine", "--exec", f"cat >> {kept}", "--count", str(expected - 10))
    assert rest.code == 0
    assert len(kept.read_text().splitlines()) == expected - 10
    state = (await place.shell("consumers", "get", "mine", "--json")).json()
    assert (state["num_pending"], state["num_ack_pending"]) == (0, 0)


async def test_a_record_whose_command_fails_is_given_back(place: Place) -> None:
    await make_sync(place)
    await place.shell("syncs", "watch", "Our account", "--until-complete", "--every", "0.1")
    await place.shell("consumers", "create", "mine", "--stream", "main", "-c", "stripe:customer")
    failed = await place.shell("consume", "mine", "--exec", "exit 3", "--count", "1", "--retry-after-ms", "0")
    assert "exit code 3" in failed.err
    total = place.provider.account.count("customers")
    assert (await place.shell("consumers", "get", "mine", "--json")).json()["num_pending"] == total


async def test_a_command_that_is_cut_short_is_ended_and_its_record_given_back(place: Place, tmp_path: Path) -> None:
    await make_sync(place)
    await place.shell("syncs", "watch", "Our account", "--until-complete", "--every", "0.1")
    made = ("consumers", "create", "mine", "--stream", "main", "-c", "stripe:customer", "--ack-wait-ms", "3600000")
    assert (await place.shell(*made)).code == 0
    begun = tmp_path / "begun"
    command = f"echo $$ > {begun}.part; mv {begun}.part {begun}; exec sleep 3600"
    async with CommandProcess("consume", "mine", "--exec", command, env=place.shell.env) as consuming:
        await eventually(begun.exists)
        consuming.signal(signal.SIGTERM)
        await consuming.ended()
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)
    state = (await place.shell("consumers", "get", "mine", "--json")).json()
    assert (state["num_pending"], state["num_ack_pending"]) == (place.provider.account.count("customers"), 0)


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_dry_run_tells_what_would_be_purged_and_changes_nothing(place: Place) -> None:
    await make_sync(place)
    await place.shell("syncs", "watch", "Our account", "--until-complete", "--every", "0.1")
    total = place.provider.account.count("customers")
    plan = await place.shell("syncs", "purge", "Our account", "-c", "stripe:customer", "--dry-run")
    assert f"would take {total} records of stripe:customer out of the stream" in plan.out
    assert (
        len((await place.shell("records", "list", "-c", "stripe:customer", "--limit", "0", "--json")).lines()) == total
    )


async def test_what_was_changed_reads_back(place: Place) -> None:
    await make_sync(place)
    changed = await place.shell(
        *(
            "syncs",
            "update",
            "Our account",
            "--name",
            "Renamed",
            "--rate-limit",
            "5/1",
            "--max-age-days",
            "30",
            "--json",
        )
    )
    found = changed.json()
    assert (found["name"], found["max_age_days"]) == ("Renamed", 30)
    assert found["rate_limit"]["allowed_requests"] == 5
    back = (await place.shell("syncs", "update", "Renamed", "--max-age-days", "null", "--json")).json()
    assert back["max_age_days"] is None


async def test_fields_that_do_not_hold_are_told_one_a_line(place: Place) -> None:
    refused = await place.shell("streams", "create", "Not A Slug", "--event-days", "1000")
    assert refused.code == 1
    assert refused.out == ""
    assert "slug:" in refused.err
    assert "event_days:" in refused.err
    assert "Traceback" not in refused.err


async def test_what_is_not_there_is_told_by_the_name_that_was_given(place: Place) -> None:
    missing = await place.shell("syncs", "get", "nobody")
    assert missing.code == 1
    assert "'nobody'; `headrace syncs list` names those there are" in missing.err


async def test_tables_are_for_people_and_json_is_for_programs(place: Place) -> None:
    await place.shell("streams", "create", "main")
    table = await place.shell("streams", "list")
    assert "slug" in table.out
    assert "main" in table.out
    assert [each["slug"] for each in (await place.shell("streams", "list", "--json")).json()] == ["main"]
    assert "stripe" in (await place.shell("providers", "list")).out


async def test_tokens_and_organisations(place: Place) -> None:
    made = (await place.shell("tokens", "create", "reader", "--scope", "read", "--json")).json()
    reader = {"HEADRACE_API_TOKEN": made["token"]}
    assert (await place.shell("streams", "list", **reader)).code == 0
    refused = await place.shell("streams", "create", "x", **reader)
    assert refused.code == 1
    assert "403" in refused.err
    assert (await place.shell("tokens", "revoke", "reader")).code == 0
    assert "401" in (await place.shell("streams", "list", **reader)).err
    assert (await place.shell("orgs", "create", "Another")).code == 0
    assert {"Another"} < {each["name"] for each in (await place.shell("orgs", "list", "--json")).json()}


async def test_without_a_token_or_a_server_it_says_what_to_do() -> None:
    assert "HEADRACE_API_TOKEN is not set" in (await Shell({})("streams", "list")).err
    away = await Shell({"HEADRACE_API_TOKEN": "hr_x", "HEADRACE_URL": "http://127.0.0.1:1"})("streams", "list")
    assert away.code == 1
    assert "is `headrace serve` running there?" in away.err


async def test_the_doctor_finds_nothing_wrong_with_what_works(place: Place) -> None:
    well = await place.shell("doctor", "--json", HEADRACE_DATABASE_URL=place.dsn, HEADRACE_SECRET_KEY="0" * 64)
    assert {each["what"]: each["verdict"] for each in well.json()} == {
        "python": "ok",
        "database": "ok",
        "schema": "ok",
        "master key": "ok",
        "clock": "ok",
        "workers": "ok",
        "syncs": "ok",
    }


async def test_the_doctor_says_what_is_wrong(dsn: str) -> None:
    shell = Shell({"HEADRACE_DATABASE_URL": dsn, "HEADRACE_SECRET_KEY": "0" * 64})
    idle = await shell("doctor")
    assert idle.code == 1
    assert "No syncs are read" in idle.out
    assert (await shell("keys", "status")).code == 0
    await shell("doctor", HEADRACE_SECRET_KEY="1" * 64)
    away = await shell("doctor", HEADRACE_DATABASE_URL="postgresql://x:sk_secret@127.0.0.1:1/x")
    assert away.code == 1
    assert "the database does not answer" in away.out
    assert "sk_secret" not in away.out + away.err


async def test_where_there_is_no_database_none_is_made(tmp_path: Path) -> None:
    shell = Shell({"HEADRACE_DATA_DIR": str(tmp_path / "data")})
    for command in (("doctor",), ("keys", "status"), ("doctor", "--after-restore")):
        told = await shell(*command)
        assert told.code == 1
        assert f"there is no database under {tmp_path / 'data'}" in " ".join((told.out + told.err).split())
        assert not (tmp_path / "data").exists()


async def test_a_database_without_tables_is_to_be_migrated(empty_dsn: str) -> None:
    shell = Shell({"HEADRACE_DATABASE_URL": empty_dsn, "HEADRACE_SECRET_KEY": "0" * 64})
    for command in (("doctor",), ("keys", "status"), ("keys", "rotate"), ("doctor", "--after-restore")):
        told = await shell(*command)
        assert told.code == 1
        assert "headrace migrate" in told.out + told.err
        assert "Traceback" not in told.err


async def test_the_doctor_names_a_sync_that_nobody_reads(place: Place) -> None:
    await make_sync(place)
    await place.shell("syncs", "watch", "Our account", "--until-complete", "--every", "0.1")
    await place.server.stop()
    conn = await asyncpg.connect(place.dsn)
    for table, columns in (("syncs", ("created_at", "updated_at")), ("checkpoints", ("last_success_at",))):
        for column in columns:
            await conn.execute(f"update {table} set {column} = {column} - interval '1 day'")
    await conn.execute("update sync_states set health_status = 'healthy'")
    await conn.close()
    told = await place.shell("doctor", HEADRACE_DATABASE_URL=place.dsn, HEADRACE_SECRET_KEY="0" * 64)
    assert "sync Our account" in told.out
    assert "Changes were last read" in told.out


async def test_the_server_of_a_long_path_is_joined_by_the_commands_that_need_the_database(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30) / "with, comma and ü"
    async with ServeProcess(data_dir=deep) as server:
        await server.ready()
        shell = Shell({"HEADRACE_DATA_DIR": str(deep), "HEADRACE_SECRET_KEY": "0" * 64})
        told = await shell("keys", "status")
        assert told.code == 0, told.err
        assert "newest schema already" in (await shell("migrate")).out
        assert await server.stop() == 0


async def test_a_provider_is_told_in_tables(place: Place) -> None:
    told = (await place.shell("providers", "get", "stripe")).out
    assert "{" not in told
    for whole in ("Stripe", "stripe_key", "secret*", "stripe:invoice_line_item"):
        assert whole in told
    known = (await place.shell("providers", "get", "stripe", "--json")).json()
    assert {"kinds", "collections"} < known.keys()


async def test_migrate_alone_brings_an_empty_folder_to_the_newest_schema(tmp_path: Path) -> None:
    shell = Shell({"HEADRACE_DATA_DIR": str(tmp_path / "data")})
    assert "Applied: 0001_spine" in (await shell("migrate")).out
    assert "newest schema already" in (await shell("migrate")).out


async def test_the_demo_shows_changes_and_ends_by_itself(tmp_path: Path) -> None:
    shell = Shell({})
    arguments = ("--data-dir", str(tmp_path / "demo"), "--port", "0", "--records", "300", "--changes", "5")
    shown = await shell("demo", *arguments)
    assert shown.code == 0, shown.out + shown.err
    assert "The whole account has arrived" in shown.out
    assert shown.out.count("ms after it happened") == 5
    assert not (tmp_path / "demo").exists()


async def test_an_app_is_registered_without_its_secret_on_the_command_line(place: Place, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the-apps-secret")
    made = await place.shell(
        *("oauth-apps", "create", "Ours", "--provider", "airtable", "--client-id", "c"),
        *(
            "--secret",
            f"client_secret=@{tmp_path / 'secret'}",
            "--redirect-uri",
            "https://app.example.com/back",
            "--json",
        ),
    )
    assert made.json()["redirect_uris"] == ["https://app.example.com/back"]
    assert "the-apps-secret" not in made.out
    listed = await place.shell("oauth-apps", "list", "--provider", "airtable", "--json")
    assert [each["name"] for each in listed.json()] == ["Ours"]
    changed = await place.shell("oauth-apps", "update", "Ours", "--name", "Still ours", "--json")
    assert changed.json()["name"] == "Still ours"
    assert (await place.shell("oauth-apps", "get", "Still ours")).code == 0
    assert (await place.shell("oauth-apps", "delete", "Still ours")).code == 0
