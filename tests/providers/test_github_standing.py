"""What a sweep of GitHub misses is asked for at its own address, and deleted only where the answer proves it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headrace.providers.github import GITHUB
from headrace.providers.kit import Faulted
from headrace.testing.driver import Driver
from headrace.testing.github import GithubServer, Truth
from headrace.testing.github.world import Repository
from headrace.testing.reader import Reader

PROBED = tuple(collection.id for collection in GITHUB.collections if collection.probe is not None)
ISSUES = ("github:issue",)


@asynccontextmanager
async def copied(*collections: str, records: int = 300) -> AsyncIterator[tuple[GithubServer, Reader]]:
    """A server, and a copy of these collections of it."""
    async with GithubServer(records) as server:
        properties = {"token": "ghp_headraceTests", "base_url": server.base_url}
        async with Driver(GITHUB, "github_token", properties) as driver:
            reader = Reader(driver, collections)
            await reader.backfill()
            yield server, reader


def issue_of(place: Repository) -> tuple[int, int]:
    """The key and number of an issue that is no pull request."""
    return next((k, t.data["number"]) for k, t in place.things["issue"].items() if "pull_request" not in t.data)


async def said(reader: Reader, record: object, collection: str = "github:issue") -> bool:
    """Whether the probe says that it is gone."""
    return bool(await reader.probe(collection, str(record)))


def test_what_can_be_asked_for_by_an_address_is() -> None:
    without = {collection.name for collection in GITHUB.collections} - {each.partition(":")[2] for each in PROBED}
    assert without == {
        # the lists of the account: what may be seen of a public repository tells nothing of what the app is given
        *("repository", "organization", "user"),
        # no address of its own
        *("timeline_event", "tag", "collaborator", "member", "outside_collaborator"),
        *("team_member", "team_repository", "project_item", "project_field"),
        # an address that changes, or that answers when the list does not show it any more
        *("label", "team", "workflow", "commit"),
    }


@pytest.mark.parametrize("collection", PROBED)
async def test_each_kind_is_found_where_it_is_and_missed_where_it_was(collection: str) -> None:
    async with copied(collection, records=500) as (server, reader):
        name = collection.partition(":")[2]
        place, key, _ = next(iter(server.world.all(name)))
        held = dict(reader.copy.alive(collection))
        assert not any([await said(reader, record, collection) for record in held])
        del place.things[name][key]
        truth = dict(Truth(server)(collection))
        gone = [record for record in held if await said(reader, record, collection)]
        assert gone == [record for record in held if record not in truth]
        assert len(gone) == 1


async def test_an_issue_that_was_deleted_is_gone() -> None:
    async with copied(*ISSUES) as (server, reader):
        place = next(iter(server.world.repositories.values()))
        key, number = issue_of(place)
        server.world.delete("issue", key, place.id)
        assert await said(reader, key)
        assert [e.status for e in server.log.find(f"*/issues/{number}")][-1:] == [410]


async def test_an_issue_that_was_transferred_is_gone_from_here_and_another_one_there() -> None:
    async with copied(*ISSUES) as (server, reader):
        here, there = server.world.repositories.values()
        key, number = issue_of(here)
        moved = server.world.transfer(key, here.id, there.id)
        assert await reader.sweep(ISSUES) == [("github:issue", str(key))]
        assert [e.status for e in server.log.find(f"*/wheel-0/issues/{number}")][-1:] == [301]
        assert str(moved.order) in reader.copy.alive("github:issue")


async def test_nothing_is_lost_when_a_repository_is_renamed_or_transferred() -> None:
    async with copied(*ISSUES) as (server, reader):
        here, there = server.world.repositories.values()
        key, _ = issue_of(here)
        server.world.rename(here.id, "water-wheel")
        server.world.rename(there.id, there.data["name"], owner="the-other-mill")
        assert not await said(reader, key)  # its old address leads to the new one
        server.world.delete("issue", key, here.id)
        assert await said(reader, key)
        assert await reader.sweep(ISSUES) == [("github:issue", str(key))]
        assert not reader.copy.difference(Truth(server), ISSUES)


async def test_a_name_that_another_repository_has_taken_tells_nothing() -> None:
    async with copied(*ISSUES) as (server, reader):
        here = next(iter(server.world.repositories.values()))
        key, _ = issue_of(here)
        name = here.data["name"]
        server.world.rename(here.id, "water-wheel")
        other = server.world.add_repository(name)
        assert server.world.named("the-mill", name) is other
        assert not await said(reader, key)


@pytest.mark.parametrize("why", ["unreadable", "deleted"])
async def test_nothing_is_concluded_of_a_repository_that_cannot_be_read(why: str) -> None:
    async with copied(*ISSUES) as (server, reader):
        here = next(iter(server.world.repositories.values()))
        key, _ = issue_of(here)
        if why == "unreadable":
            here.readable = False
        else:
            server.world.remove_repository(here.id)
        assert not await said(reader, key)


async def test_the_records_of_a_repository_that_is_listed_no_more_go_after_two_passes() -> None:
    async with copied(*ISSUES) as (server, reader):
        gone, stays = server.world.repositories.values()
        theirs = {str(key) for key in gone.things["issue"]}
        server.world.remove_repository(gone.id)
        begun = len(server.log)
        assert {record for _, record in await reader.sweep(ISSUES)} == theirs
        asked = [entry.path for entry in list(server.log)[begun:]]
        assert not [path for path in asked if "/issues/" in path]
        assert reader.copy.alive("github:issue").keys() == {str(key) for key in stays.things["issue"]}


async def test_a_missing_permission_is_no_deletion() -> None:
    async with copied(*ISSUES) as (server, reader):
        here = next(iter(server.world.repositories.values()))
        key, _ = issue_of(here)
        here.off.add("issue")
        with pytest.raises(Faulted) as raised:
            await said(reader, key)
        assert raised.value.fault.kind == "permission"
