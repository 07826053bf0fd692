"""GitHub's collections: what is listed where, how changes are told, and what becomes of what is gone.

Per repository, but for those of organisations and of the account. How each is read stands in docs/providers/github.md.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

from headrace.providers.github.account import (
    ORGANIZATIONS,
    REPOSITORIES,
    organization_page,
    repository_pages,
    user_pages,
)
from headrace.providers.github.children import Below
from headrace.providers.github.counts import counted
from headrace.providers.github.lists import Rowed, by_birth, newest, since
from headrace.providers.github.places import CONDITIONAL, LARGEST_PAGE, UNASKED_PAGE, key_of, path_in, team_path
from headrace.providers.github.schemas import schema_of
from headrace.providers.kit import (
    Canon,
    ChangedSince,
    Collection,
    Context,
    Counting,
    Feed,
    Listing,
    PageFunction,
    Partitions,
    Probe,
    Window,
)
from headrace.providers.kit.rows import Path, Picker, Raw, Reader, decoded
from headrace.providers.kit.watched import Watched, watch

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BORN, UPDATED = "created_at", "updated_at"
ALL = (("state", "all"),)
OLDEST_FIRST = (("sort", "created"), ("direction", "asc"))
NEWLY_UPDATED = (("sort", "updated"), ("direction", "desc"))

# What an object embeds of another one changes with that one, and is told by it.
_MILESTONE = ("milestone.open_issues", "milestone.closed_issues", "milestone.updated_at")
ISSUE_CANON = Canon(volatile=(*_MILESTONE, "repository"))
PULL_CANON = Canon(volatile=(*_MILESTONE, "head.repo", "base.repo"))
RUN_CANON = Canon(volatile=("repository", "head_repository"))
PLAIN = Canon()


def reader(name: str, key: Path = "id", *, created: Path | None = None, updated: Path | None = None) -> Reader:
    return Reader(f"github:{name}", key, created=created, updated=updated)


def collection(
    name: str,
    listing: Listing,
    *changes: ChangedSince,
    partitions: Partitions | None = REPOSITORIES,
    deletes: Literal["feed", "sweep", "never"] = "sweep",
    every: timedelta | None = None,
    canon: Canon = PLAIN,
    probe: Probe | None = None,
) -> Collection:
    return Collection(
        id=f"github:{name}",
        name=name,
        listing=listing,
        changes=changes,
        deletes=deletes,
        probe=probe,
        partitions=partitions,
        sweep_every=every,
        canon=canon,
        schema=schema_of(name),
    )


# ───────────────────── by update: since, or newest first ─────────────────────


def _since(
    name: str, path: str, query: tuple[tuple[str, str], ...] = (), *, key: str = "id", canon: Canon = PLAIN
) -> Collection:
    """A list that takes `since`. `key` is the field by which one of its objects is asked for."""
    listed = Rowed(path, reader(name, created=BORN, updated=UPDATED), query, one=f"{path}/{{{key}}}")
    page = since(listed)
    listing = Listing(page, windowed="updated", order="oldest_first")
    return collection(name, listing, ChangedSince(page, ordered=True), canon=canon, probe=listed.probe)


def _by_update(
    name: str,
    path: str,
    number: str,
    *,
    key: str | None = None,
    query: tuple[tuple[str, str], ...] = (),
    canon: Canon = PLAIN,
    numbered: bool = True,
) -> Collection:
    """A list that can be sorted by update, and read whole in the order of birth, in which no row moves. `number` is the
    field by which one of its objects is asked for, and its id, unless `key` is."""
    rows = reader(name, key or number, created=BORN, updated=UPDATED)
    listed = Rowed(path, rows, query, own=key is None, one=f"{path}/{{{number}}}", numbered=numbered)
    by_age = replace(listed, query=(*query, *OLDEST_FIRST))
    whole = Listing(by_age.whole(), count=counted(by_age))
    changes = ChangedSince(newest(listed, "updated", NEWLY_UPDATED))
    return collection(name, whole, changes, canon=canon, every=DAY, probe=listed.probe)


# ────────────────────────────── by birth ──────────────────────────────


def _by_birth(
    listed: Rowed,
    page: PageFunction,
    lookback: timedelta,
    *,
    windowed: Literal["created"] | None = None,
    order: Literal["newest_first", "unknown"] = "unknown",
    every: timedelta = DAY,
    canon: Canon = PLAIN,
    count: Callable[[Context, Window], Counting] | None = None,
) -> Collection:
    """A list that is found by birth only; what is younger than `lookback` is read again each hour."""
    changes = ChangedSince(page, field="created", lookback=lookback, every=HOUR)
    if windowed is None:
        whole = Listing(listed.whole(), order=order, moves=True, count=counted(listed))
    else:
        whole = Listing(page, windowed=windowed, order=order, count=count)
    return collection(_name(listed), whole, changes, every=every, canon=canon, probe=listed.probe)


# A commit is still to be had by its name when no branch leads to it any more: asking for it tells nothing.
COMMIT = Rowed("/commits", reader("commit", "sha", created="commit.committer.date"), own=True)
RUN = Rowed(
    "/actions/runs",
    reader("workflow_run", created=BORN, updated=UPDATED),
    rows="workflow_runs",
    one="/actions/runs/{id}",
)
DEPLOYMENT = Rowed("/deployments", reader("deployment", created=BORN, updated=UPDATED), one="/deployments/{id}")
EVENT = Rowed("/issues/events", reader("issue_event", created=BORN), one="/issues/events/{id}")

# ─────────────────────── short lists, read whole by ETag ───────────────────────

# A label and a team are asked for by their names, which change; a workflow is shown after its file was deleted.
SHORT: tuple[Rowed, ...] = (
    Rowed("/branches", reader("branch", "name"), own=True, one="/branches/{name}"),
    Rowed("/tags", reader("tag", "name"), own=True),
    Rowed("/releases", reader("release", created=BORN, updated=UPDATED), one="/releases/{id}"),
    Rowed("/labels", reader("label")),
    Rowed("/milestones", reader("milestone", created=BORN, updated=UPDATED), ALL, one="/milestones/{number}"),
    Rowed("/comments", reader("commit_comment", created=BORN, updated=UPDATED), one="/comments/{id}"),
    Rowed("/actions/workflows", reader("workflow", created=BORN, updated=UPDATED), rows="workflows"),
    Rowed(
        "/environments",
        reader("environment", created=BORN, updated=UPDATED),
        rows="environments",
        one="/environments/{name}",
    ),
    Rowed("/collaborators", reader("collaborator"), (("affiliation", "all"),), own=True),
    Rowed("/keys", reader("deploy_key", created=BORN), one="/keys/{id}"),
)
OF_ORGANIZATION: tuple[Rowed, ...] = (
    Rowed("/members", reader("member"), own=True),
    Rowed("/outside_collaborators", reader("outside_collaborator"), own=True),
    Rowed("/teams", reader("team")),
)


def _name(listed: Rowed) -> str:
    return listed.reader.collection.partition(":")[2]


def _watched(listed: Rowed) -> Watched:
    full = (LARGEST_PAGE, UNASKED_PAGE)
    return Watched(listed.reader.collection, listed.request, listed.record, rows=listed.rows, full=full)


def _short(listed: Rowed, partitions: Partitions) -> Collection:
    return collection(
        _name(listed),
        Listing(listed.whole(), moves=True, count=counted(listed)),
        partitions=partitions,
        deletes="feed",
        every=DAY,
        probe=listed.probe,
    )


FEEDS: tuple[Feed, ...] = (
    watch("repository lists", [_watched(each) for each in SHORT], REPOSITORIES, key_of=key_of, conditional=CONDITIONAL),
    watch(
        "organization lists",
        [_watched(each) for each in OF_ORGANIZATION],
        ORGANIZATIONS,
        key_of=key_of,
        conditional=CONDITIONAL,
    ),
)

PULLS = Rowed("/pulls", reader("pull_request", created=BORN, updated=UPDATED), (*ALL, *OLDEST_FIRST))
ISSUES = Rowed("/issues", reader("issue", created=BORN, updated=UPDATED), (*ALL, *OLDEST_FIRST))
TEAMS = OF_ORGANIZATION[2]
PROJECTS = Rowed(
    "/projectsV2", reader("project", created=BORN, updated=UPDATED), one="/projectsV2/{number}", numbered=False
)

_project = Picker(owner=("owner.login", Any), number=("number", Any))
_event = Picker(
    event=("event", Any),
    node=("node_id", Any),
    id=("id", Any),
    sha=("sha", Any),
    source=("source.issue.id", Any),
    at=("created_at", Any),
)


def _project_path(row: Raw | bytes) -> str:
    owner, number = decoded(lambda: _project(row))
    return f"/orgs/{quote(str(owner), safe='')}/projectsV2/{number}"


def _event_key(row: Raw) -> str:
    """A timeline mixes objects of many kinds: what a kind has no id for is told by what it refers to, and when."""
    event, node, number, sha, source, at = decoded(lambda: _event(row))
    return f"{event}/{node or number or sha or f'{source}@{at}'}"


REVIEWS = Below(
    reader("review", created="submitted_at"), PULLS, path_in, "/reviews", one="/pulls/{pull_request_url}/reviews/{id}"
)
TIMELINE = Below(
    reader("timeline_event", "event", created=BORN), ISSUES, path_in, "/timeline", own=True, key=_event_key
)
JOBS = Below(reader("job", created=BORN), RUN, path_in, "/jobs", (("filter", "all"),), "jobs", one="/actions/jobs/{id}")
STATUSES = Below(
    reader("deployment_status", created=BORN, updated=UPDATED),
    DEPLOYMENT,
    path_in,
    "/statuses",
    one="/deployments/{parent}/statuses/{id}",
)
TEAM_MEMBERS = Below(reader("team_member"), TEAMS, team_path, "/members", own=True)
TEAM_REPOSITORIES = Below(reader("team_repository"), TEAMS, team_path, "/repos", own=True)
ITEMS = Below(reader("project_item", created=BORN, updated=UPDATED), PROJECTS, _project_path, "/items", numbered=False)
FIELDS = Below(
    reader("project_field", created=BORN, updated=UPDATED), PROJECTS, _project_path, "/fields", numbered=False
)

COLLECTIONS: tuple[Collection, ...] = (
    Collection(
        id="github:repository",
        name="repository",
        listing=Listing(repository_pages, moves=True),
        sweep_every=timedelta(minutes=10),
        canon=Canon(volatile=("temp_clone_token",)),
        schema=schema_of("repository"),
    ),
    _since("issue", "/issues", ALL, key="number", canon=ISSUE_CANON),
    _since("issue_comment", "/issues/comments"),
    _since("review_comment", "/pulls/comments"),
    _by_update("pull_request", "/pulls", "number", key="id", query=ALL, canon=PULL_CANON),
    REVIEWS.collection(REPOSITORIES),
    TIMELINE.collection(REPOSITORIES),
    _by_birth(
        COMMIT,
        COMMIT.whole("since", "until"),
        7 * DAY,
        windowed="created",
        every=7 * DAY,
        count=counted(COMMIT, "since", "until"),
    ),
    _by_birth(EVENT, newest(EVENT, "created"), DAY, every=7 * DAY, canon=Canon(volatile=("issue",))),
    _by_birth(RUN, by_birth(RUN), 3 * DAY, windowed="created", order="newest_first", canon=RUN_CANON),
    JOBS.collection(REPOSITORIES),
    _by_birth(DEPLOYMENT, newest(DEPLOYMENT, "created"), 7 * DAY),
    STATUSES.collection(REPOSITORIES),
    *(_short(each, REPOSITORIES) for each in SHORT),
    _by_update("dependabot_alert", "/dependabot/alerts", "number", numbered=False),
    _by_update("code_scanning_alert", "/code-scanning/alerts", "number"),
    _by_update("secret_scanning_alert", "/secret-scanning/alerts", "number"),
    _by_update("security_advisory", "/security-advisories", "ghsa_id", numbered=False),
    Collection(
        id="github:organization",
        name="organization",
        listing=Listing(organization_page),
        partitions=ORGANIZATIONS,
        sweep_every=HOUR,
        schema=schema_of("organization"),
    ),
    Collection(
        id="github:user",
        name="user",
        listing=Listing(user_pages, moves=True),
        partitions=ORGANIZATIONS,
        sweep_every=DAY,
        schema=schema_of("user"),
    ),
    *(_short(each, ORGANIZATIONS) for each in OF_ORGANIZATION),
    TEAM_MEMBERS.collection(ORGANIZATIONS, HOUR),
    TEAM_REPOSITORIES.collection(ORGANIZATIONS, HOUR),
    collection("project", Listing(PROJECTS.whole()), partitions=ORGANIZATIONS, every=HOUR, probe=PROJECTS.probe),
    ITEMS.collection(ORGANIZATIONS, 6 * HOUR),
    FIELDS.collection(ORGANIZATIONS, 6 * HOUR),
)
