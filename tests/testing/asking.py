"""A plain client of the provider server: one request, its status, headers and JSON."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

KEY = "sk_test_51HeadraceTests"
LIVE_KEY = "sk_live_51HeadraceTests"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def ids(self) -> list[str]:
        return [each["id"] for each in self.json["data"]]

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        return error


class Client:
    def __init__(self, session: aiohttp.ClientSession, base_url: str, key: str) -> None:
        self._session = session
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {key}"}

    async def __call__(
        self,
        path: str,
        query: dict[str, Any] | list[tuple[str, Any]] | None = None,
        *,
        method: str = "GET",
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        pairs = query.items() if isinstance(query, dict) else query or ()
        async with self._session.request(
            method,
            self._base_url + path,
            params=[(name, str(value)) for name, value in pairs],
            data=form if body is None else orjson.dumps(body),
            headers={**self._headers, **(headers or {})},
            allow_redirects=False,
        ) as response:
            answered = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, answered, await response.read())

    async def walk(self, path: str, query: dict[str, Any] | None = None, most: int = 1000) -> list[dict[str, Any]]:
        """Every row of a list, following the cursor as Stripe's documentation says."""
        rows: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for _ in range(most):
            page = await self(path, {**(query or {}), **after})
            assert page.status == 200, page.body
            rows += page.json["data"]
            if not page.json["has_more"]:
                return rows
            after = {"starting_after": page.ids[-1]}
        raise AssertionError(f"{path} has no end")


@asynccontextmanager
async def asking(base_url: str, key: str = KEY) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Client(session, base_url, key)
