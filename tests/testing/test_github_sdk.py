"""PyPI's PyGithub, which knows nothing of this project, pages through the server and sees every row."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import github
import pytest

from headrace.testing.github import GithubServer

BELOW: dict[str, Callable[[Any], Iterable[Any]]] = {
    "issue": lambda repo: repo.get_issues(state="all"),
    "issue_comment": lambda repo: repo.get_issues_comments(),
    "pull_request": lambda repo: repo.get_pulls(state="all"),
    "review_comment": lambda repo: repo.get_pulls_comments(),
    "issue_event": lambda repo: repo.get_issues_events(),
    "label": lambda repo: repo.get_labels(),
    "milestone": lambda repo: repo.get_milestones(state="all"),
    "release": lambda repo: repo.get_releases(),
    "workflow": lambda repo: repo.get_workflows(),
    "workflow_run": lambda repo: repo.get_workflow_runs(),
    "deployment": lambda repo: repo.get_deployments(),
    "commit_comment": lambda repo: repo.get_comments(),
    "collaborator": lambda repo: repo.get_collaborators(),
    "deploy_key": lambda repo: repo.get_keys(),
}


async def test_it_sees_every_row() -> None:
    async with GithubServer(1_500) as server:
        world = server.world

        def walk() -> dict[str, set[int]]:
            auth = github.Auth.Token("ghp_headraceTests")
            with github.Github(
                base_url=server.base_url, auth=auth, per_page=37, retry=None, seconds_between_requests=0
            ) as sdk:
                repositories = list(sdk.get_user().get_repos())
                assert {repo.id for repo in repositories} == set(world.repositories)
                return {name: {each.id for repo in repositories for each in rows(repo)} for name, rows in BELOW.items()}

        seen = await asyncio.to_thread(walk)
    there = {name: {key for _, key, _ in world.all(name)} for name in BELOW}
    assert seen == there


async def test_it_sees_names_reviews_jobs_statuses_and_teams() -> None:
    async with GithubServer(600) as server:
        world = server.world

        def walk() -> dict[str, int]:
            auth = github.Auth.Token("ghp_headraceTests")
            with github.Github(base_url=server.base_url, auth=auth, retry=None, seconds_between_requests=0) as sdk:
                repositories = list(sdk.get_user().get_repos())
                org = sdk.get_organization(world.org["login"])
                teams = list(org.get_teams())
                return {
                    "branch": sum(len(list(repo.get_branches())) for repo in repositories),
                    "tag": sum(len(list(repo.get_tags())) for repo in repositories),
                    "commit": sum(len(list(repo.get_commits())) for repo in repositories),
                    "review": sum(
                        len(list(p.get_reviews())) for repo in repositories for p in repo.get_pulls(state="all")
                    ),
                    "job": sum(len(list(r.jobs("all"))) for repo in repositories for r in repo.get_workflow_runs()),
                    "deployment_status": sum(
                        len(list(d.get_statuses())) for repo in repositories for d in repo.get_deployments()
                    ),
                    "member": len(list(org.get_members())),
                    "team": len(teams),
                }

        seen = await asyncio.to_thread(walk)
    assert seen == {name: len(list(world.all(name))) for name in seen}


async def test_it_heeds_a_limit_in_the_form_of_the_server() -> None:
    async with GithubServer(100) as server:
        server.faults.add("secondary_limit", times=1, retry_after=1)

        def ask() -> str:
            with github.Github(base_url=server.base_url, auth=github.Auth.Token("ghp_x"), retry=None) as sdk:
                return sdk.get_user().login

        with pytest.raises(github.RateLimitExceededException):
            await asyncio.to_thread(ask)
