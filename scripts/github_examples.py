"""Make tests/providers/github_examples.json from GitHub's OpenAPI description: an example of each list that is read.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-*.tgz
    python scripts/github_examples.py package/generated/api.github.com.json

The description and its examples are GitHub's own (MIT, https://github.com/github/rest-api-description); the licence of
the package goes along.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

PATHS = {
    "branch": "/repos/{owner}/{repo}/branches",
    "code_scanning_alert": "/repos/{owner}/{repo}/code-scanning/alerts",
    "collaborator": "/repos/{owner}/{repo}/collaborators",
    "commit": "/repos/{owner}/{repo}/commits",
    "commit_comment": "/repos/{owner}/{repo}/comments",
    "dependabot_alert": "/repos/{owner}/{repo}/dependabot/alerts",
    "deploy_key": "/repos/{owner}/{repo}/keys",
    "deployment": "/repos/{owner}/{repo}/deployments",
    "deployment_status": "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
    "environment": "/repos/{owner}/{repo}/environments",
    "issue": "/repos/{owner}/{repo}/issues",
    "issue_comment": "/repos/{owner}/{repo}/issues/comments",
    "issue_event": "/repos/{owner}/{repo}/issues/events",
    "job": "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
    "label": "/repos/{owner}/{repo}/labels",
    "member": "/orgs/{org}/members",
    "milestone": "/repos/{owner}/{repo}/milestones",
    "organization": "/orgs/{org}",
    "outside_collaborator": "/orgs/{org}/outside_collaborators",
    "project": "/orgs/{org}/projectsV2",
    "project_field": "/orgs/{org}/projectsV2/{project_number}/fields",
    "project_item": "/orgs/{org}/projectsV2/{project_number}/items",
    "pull_request": "/repos/{owner}/{repo}/pulls",
    "release": "/repos/{owner}/{repo}/releases",
    "repository": "/installation/repositories",
    "review": "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "review_comment": "/repos/{owner}/{repo}/pulls/comments",
    "secret_scanning_alert": "/repos/{owner}/{repo}/secret-scanning/alerts",
    "security_advisory": "/repos/{owner}/{repo}/security-advisories",
    "tag": "/repos/{owner}/{repo}/tags",
    "team": "/orgs/{org}/teams",
    "team_member": "/orgs/{org}/teams/{team_slug}/members",
    "team_repository": "/orgs/{org}/teams/{team_slug}/repos",
    "timeline_event": "/repos/{owner}/{repo}/issues/{issue_number}/timeline",
    "user": "/users/{username}",
    "workflow": "/repos/{owner}/{repo}/actions/workflows",
    "workflow_run": "/repos/{owner}/{repo}/actions/runs",
}
"""Collection → where it is read. A user and an organisation are read one by one."""


def example(document: dict[str, Any], path: str) -> Any:
    """The first example of the answer 200 to a GET of this path."""
    told = document["paths"][path]["get"]["responses"]["200"]
    content = told["content"]["application/json"]
    (first, *_) = content["examples"].values()
    if "$ref" in first:
        first = document["components"]["examples"][first["$ref"].rpartition("/")[2]]
    return first["value"]


def main(description: Path, target: Path) -> None:
    document = orjson.loads(description.read_bytes())
    shown = {name: {"path": path, "value": example(document, path)} for name, path in PATHS.items()}
    made = {
        "source": "npm @octokit/openapi 23.0.2, generated/api.github.com.json",
        "licence": (description.parents[1] / "LICENSE").read_text(),
        "examples": shown,
    }
    target.write_bytes(orjson.dumps(made) + b"\n")


if __name__ == "__main__":
    default = Path(__file__).parents[1] / "tests" / "providers" / "github_examples.json"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else default)
