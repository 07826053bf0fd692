"""GitHub's objects as JSON, each with the fields that its clients depend on.

Addresses are written with `%API%` for the server's base and `%REPO%` for the repository's name: both are filled in when
an object is shown, so that a rename shows in every object of the repository, as it does at GitHub.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Birth:
    """What an object is made of: its numbers, the moment as GitHub writes it, the parent's JSON, who made it, and the
    organisation's login."""

    id: int
    number: int
    at: str
    parent: Json
    user: Json
    org: str


def user(login: str, number: int) -> Json:
    url = f"%API%/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number:x}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        "repos_url": f"{url}/repos",
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def profile(simple: Json, at: str) -> Json:
    more = {"name": simple["login"].title(), "company": None, "public_repos": 2, "followers": 3, "following": 1}
    return {**simple, **more, "created_at": at, "updated_at": at}


def organization(login: str, number: int, at: str) -> Json:
    url = f"%API%/orgs/{login}"
    addresses = {f"{name}_url": f"{url}/{name}" for name in ("repos", "events", "hooks", "issues")}
    return {
        **{"login": login, "id": number, "node_id": f"O_{number:x}", "url": url, **addresses},
        "html_url": f"https://github.com/{login}",
        "description": "The mill",
        "type": "Organization",
        "created_at": at,
        "updated_at": at,
    }


def repository(key: int, owner: Json, name: str, at: str) -> Json:
    kept = ("login", "id", "node_id", "avatar_url", "url", "html_url", "type")
    return {
        "id": key,
        "node_id": f"R_{key:x}",
        "name": name,
        "full_name": f"{owner['login']}/{name}",
        "private": True,
        "owner": {field: owner[field] for field in kept if field in owner},
        "html_url": "https://github.com/%REPO%",
        "description": None,
        "fork": False,
        "url": "%API%/repos/%REPO%",
        "created_at": at,
        "updated_at": at,
        "pushed_at": at,
        "default_branch": "main",
        "has_issues": True,
        "archived": False,
        "open_issues_count": 0,
        "stargazers_count": 0,
        "permissions": {"admin": False, "push": True, "pull": True},
    }


def _plain(kind: str, path: str) -> Callable[[Birth], Json]:
    """The fields that most objects have; `path` is the object's, below the repository."""

    def make(birth: Birth) -> Json:
        address = path.format(
            id=birth.id, number=birth.number, parent=birth.parent.get("number", birth.parent.get("id"))
        )
        return {
            "id": birth.id,
            "node_id": f"{kind}_{birth.id:x}",
            "url": f"%API%/repos/%REPO%/{address}",
            "html_url": f"https://github.com/%REPO%/{address}",
            "created_at": birth.at,
            "updated_at": birth.at,
        }

    return make


def _without(base: Callable[[Birth], Json], *names: str) -> Callable[[Birth], Json]:
    return lambda birth: {name: value for name, value in base(birth).items() if name not in names}


def _with(base: Callable[[Birth], Json], more: Callable[[Birth], Json]) -> Callable[[Birth], Json]:
    return lambda birth: {**base(birth), **more(birth)}


def _issue(birth: Birth) -> Json:
    return {
        "repository_url": "%API%/repos/%REPO%",
        "number": birth.number,
        "state": "open",
        "title": f"The wheel stands still ({birth.number})",
        "body": "Since the frost.",
        "user": birth.user,
        "labels": [],
        "assignees": [],
        "milestone": None,
        "locked": False,
        "comments": 0,
        "closed_at": None,
        "author_association": "MEMBER",
    }


def _pull(birth: Birth) -> Json:
    tip = {"label": "mill:wheel", "ref": f"wheel-{birth.number}", "sha": sha(f"pull {birth.id}"), "user": birth.user}
    shared = {name: value for name, value in _issue(birth).items() if name not in ("comments", "repository_url")}
    return {**shared, "merged_at": None, "draft": False, "head": tip, "base": {**tip, "ref": "main"}}


def sha(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()


def _commit(birth: Birth) -> Json:
    name = sha(f"commit {birth.id}")
    person = {"name": "Miller", "email": "miller@example.com", "date": birth.at}
    return {
        "sha": name,
        "node_id": f"C_{birth.id:x}",
        "url": f"%API%/repos/%REPO%/commits/{name}",
        "html_url": f"https://github.com/%REPO%/commit/{name}",
        "commit": {"author": person, "committer": person, "message": f"Grease the wheel ({birth.id})"},
        "author": birth.user,
        "committer": birth.user,
        "parents": [],
    }


def _named(prefix: str) -> Callable[[Birth], Json]:
    def make(birth: Birth) -> Json:
        name = f"{prefix}-{birth.number:05d}"
        tip = sha(f"{prefix} {birth.id}")
        return {"name": name, "commit": {"sha": tip, "url": f"%API%/repos/%REPO%/commits/{tip}"}}

    return make


def _event(birth: Birth) -> Json:
    base = {key: value for key, value in _plain("EV", "issues/events/{id}")(birth).items() if key in ("id", "node_id")}
    return {**base, "event": "labeled", "actor": birth.user, "created_at": birth.at}


def _mention(birth: Birth) -> Json:
    """A cross-reference: an event without an id of its own."""
    return {
        "event": "cross-referenced",
        "actor": birth.user,
        "created_at": birth.at,
        "updated_at": birth.at,
        "source": {"type": "issue", "issue": {"id": birth.id}},
    }


def _person(birth: Birth) -> Json:
    return user(f"miller-{birth.number}", birth.id)


def _team(birth: Birth) -> Json:
    slug = f"team-{birth.number}"
    org = birth.org
    return {
        "id": birth.id,
        "node_id": f"T_{birth.id:x}",
        "name": slug.title(),
        "slug": slug,
        "description": None,
        "privacy": "closed",
        "permission": "pull",
        "url": f"%API%/organizations/1/team/{birth.id}",
        "html_url": f"https://github.com/orgs/{org}/teams/{slug}",
        "members_url": f"%API%/organizations/1/team/{birth.id}/members{{/member}}",
        "repositories_url": f"%API%/organizations/1/team/{birth.id}/repos",
        "parent": None,
    }


def _project(birth: Birth) -> Json:
    org = {"login": birth.org, "id": 1, "type": "Organization"}
    return {
        "id": birth.id,
        "node_id": f"PVT_{birth.id:x}",
        "number": birth.number,
        "owner": org,
        "creator": user("miller-1", 1001),
        "title": f"Season {birth.number}",
        "public": False,
        "created_at": birth.at,
        "updated_at": birth.at,
    }


def _part(kind: str, **fields: Any) -> Callable[[Birth], Json]:
    """A part of a project, or anything else without an address of its own."""
    return lambda birth: {
        "id": birth.id,
        "node_id": f"{kind}_{birth.id:x}",
        **fields,
        "created_at": birth.at,
        "updated_at": birth.at,
    }


def _alert(path: str) -> Callable[[Birth], Json]:
    def make(birth: Birth) -> Json:
        made = _plain("A", path + "/{number}")(birth)
        return {
            "number": birth.number,
            "state": "open",
            **{k: v for k, v in made.items() if k not in ("id", "node_id")},
        }

    return make


def _advisory(birth: Birth) -> Json:
    made = _without(_plain("GA", "security-advisories/{id}"), "id", "node_id")(birth)
    return {"ghsa_id": f"GHSA-{birth.id:04x}", "summary": "Ice", "state": "published", "severity": "low", **made}


def _shown_repository(birth: Birth) -> Json:
    owner = {"login": birth.org, "id": 1, "type": "Organization"}
    made = repository(birth.id, owner, f"linked-{birth.number}", birth.at)
    return {**made, "url": f"%API%/repos/{made['full_name']}", "html_url": f"https://github.com/{made['full_name']}"}


MAKERS: dict[str, Callable[[Birth], Json]] = {
    "issue": _with(_plain("I", "issues/{number}"), _issue),
    "issue_comment": _with(
        _plain("IC", "issues/comments/{id}"),
        lambda b: {
            "body": "It turns.",
            "user": b.user,
            "issue_url": f"%API%/repos/%REPO%/issues/{b.parent.get('number')}",
        },
    ),
    "pull_request": _with(_plain("PR", "pulls/{number}"), _pull),
    "review_comment": _with(
        _plain("PRRC", "pulls/comments/{id}"),
        lambda b: {"body": "A cog is missing.", "path": "wheel.py", "user": b.user},
    ),
    "review": lambda b: {
        **{
            k: v
            for k, v in _plain("PRR", "pulls/{parent}/reviews/{id}")(b).items()
            if k not in ("created_at", "updated_at", "url")
        },
        **{
            "state": "APPROVED",
            "body": "Good.",
            "pull_request_url": f"%API%/repos/%REPO%/pulls/{b.parent.get('number')}",
            "user": b.user,
            "submitted_at": b.at,
            "commit_id": sha(f"pull {b.id}"),
        },
    },
    "timeline_event": lambda b: _mention(b) if b.id % 2 else _event(b),
    "commit": _commit,
    "issue_event": _event,
    "workflow_run": _with(
        _plain("WFR", "actions/runs/{id}"),
        lambda b: {
            "name": "mill",
            "jobs_url": f"%API%/repos/%REPO%/actions/runs/{b.id}/jobs",
            "run_number": b.number,
            "run_attempt": 1,
            "status": "queued",
            "conclusion": None,
            "event": "push",
            "workflow_id": 1,
            "head_branch": "main",
            "head_sha": sha(f"run {b.id}"),
        },
    ),
    "job": _with(
        _without(_plain("CR", "actions/jobs/{id}"), "updated_at"),
        lambda b: {"run_id": b.parent["id"], "name": "grind", "status": "queued", "conclusion": None, "steps": []},
    ),
    "deployment": _with(
        _without(_plain("DE", "deployments/{id}"), "html_url"),
        lambda b: {
            "statuses_url": f"%API%/repos/%REPO%/deployments/{b.id}/statuses",
            "sha": sha(f"deploy {b.id}"),
            "ref": "main",
            "task": "deploy",
            "payload": {},
            "environment": "mill",
        },
    ),
    "deployment_status": _with(
        _without(_plain("DS", "deployments/{parent}/statuses/{id}"), "html_url"),
        lambda b: {"state": "pending", "description": "", "environment": "mill"},
    ),
    "branch": _with(_named("branch"), lambda b: {"protected": False}),
    "tag": _with(_named("v"), lambda b: {"node_id": f"REF_{b.id:x}"}),
    "release": _with(
        _plain("RE", "releases/{id}"),
        lambda b: {
            "tag_name": f"v{b.number}",
            "name": f"Release {b.number}",
            "draft": False,
            "prerelease": False,
            "published_at": b.at,
            "assets": [],
        },
    ),
    "label": lambda b: {
        **{"id": b.id, "node_id": f"LA_{b.id:x}", "name": f"label-{b.number:05d}", "color": "ededed", "default": False},
        **{"url": f"%API%/repos/%REPO%/labels/label-{b.number:05d}", "description": None},
    },
    "milestone": _with(
        _plain("MI", "milestones/{number}"),
        lambda b: {
            "number": b.number,
            "state": "open",
            "title": f"Harvest {b.number}",
            "open_issues": 0,
            "closed_issues": 0,
        },
    ),
    "commit_comment": _with(_plain("CC", "comments/{id}"), lambda b: {"body": "Well done.", "user": b.user}),
    "workflow": _with(
        _plain("W", "actions/workflows/{id}"),
        lambda b: {"name": f"Workflow {b.number}", "path": f".github/workflows/{b.number}.yml", "state": "active"},
    ),
    "environment": _with(_plain("EN", "environments/mill-{number}"), lambda b: {"name": f"mill-{b.number}"}),
    "collaborator": lambda b: {**_person(b), "permissions": {"pull": True, "push": False}, "role_name": "read"},
    "deploy_key": lambda b: {
        **{"id": b.id, "key": "ssh-ed25519 AAAA", "url": f"%API%/repos/%REPO%/keys/{b.id}", "title": f"Key {b.number}"},
        **{"verified": True, "read_only": True, "created_at": b.at},
    },
    "dependabot_alert": _alert("dependabot/alerts"),
    "code_scanning_alert": _alert("code-scanning/alerts"),
    "secret_scanning_alert": _alert("secret-scanning/alerts"),
    "security_advisory": _advisory,
    "member": _person,
    "outside_collaborator": _person,
    "team": _team,
    "team_member": _person,
    "team_repository": _shown_repository,
    "project": _project,
    "project_item": _part("PVTI", content_type="Issue", archived_at=None),
    "project_field": _part("PVTF", name="Status", data_type="single_select"),
}
"""By the name of the resource."""
