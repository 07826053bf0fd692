"""What GitHub lists and how: paths, orders, filters. Source: GitHub's OpenAPI description (npm `@octokit/openapi`)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Resource:
    """One list of GitHub's.

    `path` is below a repository or organisation, with `{}` for the parent's `address`. `one` is the field by which one
    object is asked for, None: it cannot be. `order` is the default, and `sorts` what `sort` takes; `descends`: the
    default direction is down. `since` filters by update, `between` by birth (`since`, `until`), `created` by a range of
    births of which at most `cap` are shown. `wrap` is the field that holds the rows. `cursors`: pages go by `after`.
    `single` is where one object is asked for, where that is not below its list. `own`: ids are their own below the
    parent or repository only. `weight` is how many there are in proportion.
    """

    name: str
    path: str
    scope: Literal["repository", "organization"] = "repository"
    parent: str | None = None
    address: str = "number"
    one: str | None = "id"
    order: Literal["created", "updated", "name"] = "created"
    sorts: tuple[str, ...] = ()
    descends: bool = True
    states: bool = False
    since: bool = False
    between: bool = False
    created: bool = False
    cap: int | None = None
    wrap: str | None = None
    cursors: bool = False
    single: str | None = None
    own: str | None = None
    weight: float = 1.0

    @property
    def template(self) -> tuple[str, ...]:
        return tuple(self.path.split("/"))


_TIMES = ("created", "updated")
_ALL = (
    Resource("issue", "issues", one="number", sorts=_TIMES, states=True, since=True, weight=10),
    Resource("issue_comment", "issues/comments", sorts=_TIMES, descends=False, since=True, weight=15),
    Resource("pull_request", "pulls", one="number", sorts=_TIMES, states=True, weight=5),
    Resource("review_comment", "pulls/comments", sorts=_TIMES, descends=False, since=True, weight=6),
    Resource("review", "pulls/{}/reviews", parent="pull_request", descends=False, weight=6),
    Resource("timeline_event", "issues/{}/timeline", parent="issue", one=None, descends=False, own="event", weight=5),
    Resource("commit", "commits", one="sha", between=True, own="sha", weight=10),
    Resource("issue_event", "issues/events", weight=5),
    Resource("workflow_run", "actions/runs", created=True, cap=1000, wrap="workflow_runs", weight=8),
    Resource(
        "job",
        "actions/runs/{}/jobs",
        parent="workflow_run",
        address="id",
        single="actions/jobs",
        descends=False,
        wrap="jobs",
        weight=8,
    ),
    Resource("deployment", "deployments", weight=3),
    Resource("deployment_status", "deployments/{}/statuses", parent="deployment", address="id", weight=4),
    Resource("branch", "branches", one="name", order="name", descends=False, own="name", weight=2),
    Resource("tag", "tags", one=None, order="name", own="name", weight=2),
    Resource("release", "releases", weight=2),
    Resource("label", "labels", one="name", order="name", descends=False, weight=2),
    Resource("milestone", "milestones", one="number", states=True, descends=False, weight=1),
    Resource("commit_comment", "comments", descends=False, weight=1),
    Resource("workflow", "actions/workflows", descends=False, wrap="workflows", weight=1),
    Resource("environment", "environments", one="name", descends=False, wrap="environments", weight=1),
    Resource("collaborator", "collaborators", one=None, descends=False, own="id", weight=1),
    Resource("deploy_key", "keys", descends=False, weight=1),
    Resource("dependabot_alert", "dependabot/alerts", one="number", sorts=_TIMES, cursors=True, own="number", weight=2),
    Resource("code_scanning_alert", "code-scanning/alerts", one="number", sorts=_TIMES, own="number", weight=2),
    Resource("secret_scanning_alert", "secret-scanning/alerts", one="number", sorts=_TIMES, own="number", weight=1),
    Resource(
        "security_advisory", "security-advisories", one="ghsa_id", sorts=_TIMES, cursors=True, own="ghsa_id", weight=1
    ),
    Resource("member", "members", scope="organization", one=None, descends=False, own="id", weight=1),
    Resource(
        "outside_collaborator",
        "outside_collaborators",
        scope="organization",
        one=None,
        descends=False,
        own="id",
        weight=1,
    ),
    Resource("team", "teams", scope="organization", one="slug", descends=False, weight=1),
    Resource(
        "team_member",
        "teams/{}/members",
        scope="organization",
        parent="team",
        address="slug",
        one=None,
        descends=False,
        own="id",
        weight=1,
    ),
    Resource(
        "team_repository",
        "teams/{}/repos",
        scope="organization",
        parent="team",
        address="slug",
        one=None,
        descends=False,
        own="id",
        weight=1,
    ),
    Resource("project", "projectsV2", scope="organization", one="number", cursors=True, descends=False, weight=1),
    Resource(
        "project_item",
        "projectsV2/{}/items",
        scope="organization",
        parent="project",
        cursors=True,
        descends=False,
        weight=2,
    ),
    Resource(
        "project_field",
        "projectsV2/{}/fields",
        scope="organization",
        parent="project",
        cursors=True,
        descends=False,
        weight=1,
    ),
)
RESOURCES: dict[str, Resource] = {resource.name: resource for resource in _ALL}
"""By the name of the connector's collection, without `github:`."""

NEVER_DELETED = frozenset(
    {"pull_request", "review", "commit", "issue_event", "timeline_event", "dependabot_alert", "secret_scanning_alert"}
)
"""What GitHub's API deletes nowhere; a force-push is not played."""
