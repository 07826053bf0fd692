"""GitHub's connector through `headrace serve`: everything arrives, changes and deletions follow, by themselves."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from serving import complete, differences, equal, eventually, serving, start_sync

from headrace.providers.github import GITHUB
from headrace.testing.github import GithubServer, Truth

# On a machine that does other things a sync of twelve collections takes its time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COLLECTIONS = tuple(
    f"github:{name}"
    for name in (
        *("repository", "issue", "issue_comment", "pull_request", "review", "workflow_run", "job"),
        *("label", "branch", "organization", "team", "team_member"),
    )
)


async def test_a_sync_of_github_holds_what_github_holds(dsn: str) -> None:
    async with GithubServer(250) as github, serving(dsn) as api:
        world, truth = github.world, Truth(github)
        properties = {"kind": "github_token", "token": "ghp_headraceTests", "base_url": github.base_url}
        sync = await start_sync(api, "github", properties, COLLECTIONS)
        await complete(api, sync)
        await equal(api, sync, GITHUB, truth)

        # Births, changes and a deletion that the readings of changes tell.
        here, there = world.repositories
        issue = world.create("issue", here)
        world.create("issue_comment", here, issue.order)
        pull = world.create("pull_request", there)
        world.create("review", there, pull.order)
        run = world.create("workflow_run", here)
        world.create("job", here, run.order)
        label = next(iter(world.repositories[here].things["label"]))
        world.delete("label", label, here)
        world.update("label", next(iter(world.repositories[here].things["label"])), here, color="b60205")
        await equal(api, sync, GITHUB, truth)

        # A repository that is made, and one that is renamed: the records stay what they were, by their ids.
        fresh = world.add_repository("sluice").id
        world.create("label", fresh)
        world.rename(there, "water-wheel")
        world.update("issue", next(iter(world.repositories[there].things["issue"])), there, title="Renamed")
        await api.syncs.run(sync["id"])

        async def renamed() -> bool:
            left = await differences(api, sync, GITHUB, truth)
            return not any(each.startswith(("missing", "phantom", "different github:repository")) for each in left)

        await eventually(renamed)
        collections = await api.syncs.collections(sync["id"])
        assert all(each["id"] in COLLECTIONS for each in collections)
        assert (await api.syncs.get(sync["id"]))["health"]["status"] == "healthy"


async def test_an_installation_is_followed_when_a_repository_is_taken_from_it(dsn: str) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    async with GithubServer(200) as github, serving(dsn) as api:
        world, truth = github.world, Truth(github)
        app = await api.oauth_apps.create(
            provider="github", name="mill", client_id="c", client_secret="s", app_id="1", private_key=key.decode()
        )
        properties = {"kind": "github_app", "installation_id": 4711, "base_url": github.base_url}
        wanted = ("github:repository", "github:issue", "github:label", "github:team")
        sync = await start_sync(api, "github", properties, wanted, oauth_app_id=app["id"])
        await complete(api, sync)
        await equal(api, sync, GITHUB, truth)

        taken, left = world.repositories.values()
        taken.installed = False
        fresh = world.create("issue", left.id)
        world.create("label", left.id)
        await api.syncs.run(sync["id"])

        async def followed() -> bool:
            found = await differences(api, sync, GITHUB, truth)
            gone = f"phantom github:repository {taken.id}" not in found
            return gone and not any(each.startswith(("missing", "different")) for each in found)

        await eventually(followed)
        assert str(fresh.order) in dict(truth("github:issue"))
        health = (await api.syncs.get(sync["id"]))["health"]
        assert health["status"] == "healthy", health
