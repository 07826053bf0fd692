"""Make src/headrace/providers/github/schemas/*.json from GitHub's OpenAPI description.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-*.tgz
    python scripts/github_schemas.py package/generated/api.github.com.json [FOLDER]

The description is GitHub's own (MIT, https://github.com/github/rest-api-description). A schema says what a field is
when it is there and not null: fields are left out for some credentials, and added without notice, so nothing is
required and nothing closed; enumerations are open, their known values are given as examples.
"""

import re
import sys
from pathlib import Path
from typing import Any

import orjson

Schema = dict[str, Any]

OBJECTS = {
    "branch": "short-branch",
    "code_scanning_alert": "code-scanning-alert-items",
    "collaborator": "collaborator",
    "commit": "commit",
    "commit_comment": "commit-comment",
    "dependabot_alert": "dependabot-alert",
    "deploy_key": "deploy-key",
    "deployment": "deployment",
    "deployment_status": "deployment-status",
    "environment": "environment",
    "issue": "issue",
    "issue_comment": "issue-comment",
    "issue_event": "issue-event",
    "job": "job",
    "label": "label",
    "member": "simple-user",
    "milestone": "milestone",
    "organization": "organization-full",
    "outside_collaborator": "simple-user",
    "project": "projects-v2",
    "project_field": "projects-v2-field",
    "project_item": "projects-v2-item-with-content",
    "pull_request": "pull-request-simple",
    "release": "release",
    "repository": "repository",
    "review": "pull-request-review",
    "review_comment": "pull-request-review-comment",
    "secret_scanning_alert": "secret-scanning-alert",
    "security_advisory": "repository-advisory",
    "tag": "tag",
    "team": "team",
    "team_member": "team-member",
    "team_repository": "minimal-repository",
    "timeline_event": "timeline-issue-events",
    "user": "public-user",
    "workflow": "workflow",
    "workflow_run": "workflow-run",
}
"""Collection → the name of its objects' schema in the description."""

DEEPEST, DESCRIBED_LEVELS, LONGEST = 3, 2, 200


class Description:
    """The components of the OpenAPI description."""

    def __init__(self, document: Schema) -> None:
        self._schemas: Schema = document["components"]["schemas"]

    def of(self, collection: str) -> Schema:
        """The packaged schema of a collection's objects."""
        made = self.schema(self._schemas[OBJECTS[collection]], 0)
        fields = made.get("properties", {})
        for field, schema in fields.items():
            schema.update({"x-upstream-id": field, "x-scope": "provider"})
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title(collection),
            "type": "object",
            "properties": dict(sorted(fields.items(), key=lambda field: (field[0] != "id", field[0]))),
        }

    def schema(self, given: Schema, level: int) -> Schema:
        if "$ref" in given:
            return self.schema(self._schemas[given["$ref"].rsplit("/", 1)[1]], level)
        for several in ("allOf", "oneOf", "anyOf"):
            if several in given:
                parts = [self.schema(part, level) for part in given[several]]
                made = union(parts)
                break
        else:
            made = self._plain(given, level)
        if given.get("nullable") and "type" in made:
            made["type"] = types(made["type"], "null")
        return made

    def _plain(self, given: Schema, level: int) -> Schema:
        kind = given.get("type")
        if kind is None:
            return {}
        made: Schema = {"type": types(kind)}
        if isinstance(given.get("format"), str) and given["format"] in ("date-time", "uri", "email"):
            made["format"] = given["format"]
        if "enum" in given:
            made["examples"] = [value for value in given["enum"] if value is not None]
        if "array" in as_list(kind) and "items" in given:
            items = self.schema(given["items"], level + 1) if level < DEEPEST else {}
            made["items"] = items
        if given.get("properties") and level < DEEPEST:
            made["properties"] = {
                name: self._field(name, value, level + 1) for name, value in sorted(given["properties"].items())
            }
        return made

    def _field(self, name: str, given: Schema, level: int) -> Schema:
        made = self.schema(given, level)
        if level > DESCRIBED_LEVELS:
            return made
        words = description(given.get("description"))
        return {"title": title(name), **made, **({"description": words} if words else {})}


def as_list(kind: Any) -> list[str]:
    return [kind] if isinstance(kind, str) else list(kind)


def types(kind: Any, *more: str) -> Any:
    """One type, or the list of several, each once."""
    found = list(dict.fromkeys([*as_list(kind), *more]))
    return found[0] if len(found) == 1 else found


def union(parts: list[Schema]) -> Schema:
    """One schema for several: the types together, the fields together. A field that two of them have otherwise keeps
    the types of both."""
    if any("type" not in part for part in parts):
        return {}
    fields: Schema = {}
    for part in parts:
        for name, field in part.get("properties", {}).items():
            known = fields.get(name)
            fields[name] = field if known in (None, field) else {**union([known, field]), "title": title(name)}
    kinds = types([kind for part in parts for kind in as_list(part["type"])])
    merged: Schema = {"type": kinds, **({"properties": fields} if fields else {})}
    formats = {part.get("format") for part in parts}
    items = [part["items"] for part in parts if "items" in part]
    if len(formats) == 1 and None not in formats:
        merged["format"] = formats.pop()
    if items:
        merged["items"] = items[0] if all(each == items[0] for each in items) else {}
    return merged


def title(name: str) -> str:
    words = name.replace("_", " ").strip()
    return (words[:1].upper() + words[1:]).replace(" id", " ID").replace(" url", " URL") if words != "id" else "ID"


def description(text: Any) -> str:
    """The first sentence, without links, or nothing where it is long."""
    if not isinstance(text, str):
        return ""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(text.split()))
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", plain, maxsplit=1)[0]
    return first if len(first) <= LONGEST else ""


def main(source: Path, folder: Path) -> None:
    described = Description(orjson.loads(source.read_bytes()))
    folder.mkdir(exist_ok=True)
    for collection in OBJECTS:
        (folder / f"{collection}.json").write_bytes(orjson.dumps(described.of(collection)) + b"\n")


if __name__ == "__main__":
    here = Path(__file__).parent.parent / "src/headrace/providers/github/schemas"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here)
