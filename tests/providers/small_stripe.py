"""A Stripe account in memory that answers requests as Stripe's documentation says: lists newest first, sub-lists cut at
ten, deleted objects. Pure: a function of the request and of what the account holds."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from headrace.http import Request, Response

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Json = dict[str, Any]


def sub_list(url: str, rows: list[Json]) -> Json:
    return {"object": "list", "data": rows, "has_more": False, "url": url}


class SmallStripe:
    def __init__(self) -> None:
        self.lists: dict[str, list[Json]] = {}
        self.deleted: dict[str, Json] = {}
        self.carried: dict[str, dict[str, str]] = {}
        """Lists that are carried only when asked for: field by path of the parents' list, with the sub-list's path."""
        self.asked: list[Request] = []

    def add(self, path: str, *objects: Json) -> None:
        """Add objects, the newest first, and the sub-lists that they hold."""
        self.lists.setdefault(path, []).extend(objects)

    def respond(self, request: Request) -> Response:
        self.asked.append(request)
        path = unquote(request.url)
        query = dict(request.query)
        rows = self.lists.get(path)
        if rows is None:
            rows = self._sub_list(path, query)
        if rows is not None:
            return self._page(path, rows, query)
        return self._one(path)

    def _page(self, path: str, rows: list[Json], query: dict[str, str]) -> Response:
        low, high = int(query.get("created[gte]", 0)), int(query.get("created[lt]", 10**12))
        rows = [row for row in rows if low <= row.get("created", low) < high]
        if "active" in query:
            rows = [row for row in rows if row["active"] is (query["active"] == "true")]
        if path == "/v1/subscriptions" and query.get("status") != "all":
            rows = [row for row in rows if row["status"] != "canceled"]
        if "setup_intent" in query:
            rows = [row for row in rows if row["setup_intent"] == query["setup_intent"]]
        if "starting_after" in query:
            places = [row["id"] for row in rows]
            if query["starting_after"] not in places:
                return self.error(400, "resource_missing", param="starting_after")
            rows = rows[places.index(query["starting_after"]) + 1 :]
        limit = int(query.get("limit", 10))
        wanted = query.get("expand[]", "").removeprefix("data.")
        shown = [self.shown(self._carrying(path, row, wanted)) for row in rows[:limit]]
        return self.answer({"object": "list", "data": shown, "has_more": len(rows) > limit, "url": path})

    def _carrying(self, path: str, row: Json, field: str) -> Json:
        if not field:
            return row
        url = self.carried[path][field].format(row["id"])
        return {**row, field: sub_list(url, self.lists.get(url, []))}

    def shown(self, row: Json) -> Json:
        """As Stripe shows it: of each sub-list the first ten rows."""
        return {
            name: {**value, "data": value["data"][:10], "has_more": len(value["data"]) > 10}
            if isinstance(value, dict) and value.get("object") == "list"
            else value
            for name, value in row.items()
        }

    def _objects(self) -> dict[str, Json]:
        return {f"{path}/{row['id']}": row for path, rows in self.lists.items() for row in rows}

    def _sub_list(self, path: str, query: dict[str, str]) -> list[Json] | None:
        for row in self._objects().values():
            for value in row.values():
                if isinstance(value, dict) and value.get("object") == "list":
                    url, _, named = value["url"].partition("?")
                    parameter = dict([named.split("=")]) if named else {}
                    if url == path and parameter.items() <= query.items():
                        return list(value["data"])
        return None

    def _one(self, path: str) -> Response:
        if path in self.deleted:
            return self.answer(self.deleted[path])
        found = self._objects().get(path)
        if found is not None:
            return self.answer(self.shown(found))
        parent = path.rsplit("/", 1)[0]
        if parent in self.lists or parent.rsplit("/", 1)[0] in self._objects():
            return self.error(404, "resource_missing", param="id")
        return self.error(404 if "/v1/" in path else 400, None)

    def answer(self, body: Any) -> Response:
        return Response(200, json.dumps(body, indent=2).encode() + b"\n", NOW)

    def error(self, status: int, code: str | None, **more: Any) -> Response:
        body = {"error": {"type": "invalid_request_error", "code": code, "message": f"No such thing: {code}", **more}}
        return Response(status, json.dumps(body).encode(), NOW)
