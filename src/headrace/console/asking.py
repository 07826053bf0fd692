"""The API, asked from within its own process with the token of the one who looks. Numbers keep their digits."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson
from starlette.types import ASGIApp

from headrace.errors import HeadraceError
from headrace.jsontext import Digits

_TIMEOUT_S = 60.0


class Refused(HeadraceError):
    """The API's answer was an error. `summary` and `errors` (by field) are in its words, `status` is its code."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(body.get("summary") or f"The API answered {status}."))
        self.status = status
        self.errors: dict[str, list[str]] = dict(body.get("validation_errors") or {})


class Asking:
    """The API for one visitor."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app, raise_app_exceptions=False),
            base_url="http://console.invalid",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_S,
        )

    async def get(self, path: str, **query: Any) -> Any:
        """What the route answers. Parameters that are None are left out. Raises Refused."""
        return await self.send("GET", path, None, **query)

    async def send(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Raises Refused; None where the answer is empty."""
        content = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": "application/json"} if content is not None else {}
        answer = await self._client.request(
            method,
            path,
            params={name: str(value) for name, value in query.items() if value is not None},
            content=content,
            headers=headers,
        )
        told = json.loads(answer.content, parse_float=Digits) if answer.content else None
        if answer.status_code >= 400:
            raise Refused(answer.status_code, told if isinstance(told, dict) else {})
        return told

    async def every(self, path: str, most: int = 1_000, **query: Any) -> list[dict[str, Any]]:
        """All rows of a list, page by page, at most about so many. Raises Refused."""
        rows: list[dict[str, Any]] = []
        cursor = None
        while len(rows) < most:
            page = await self.get(path, cursor=cursor, **query)
            rows += page["data"]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
        return rows
