"""Those who call the API in tests, each with a token of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID

import httpx2
from conformance import Document
from fastapi import FastAPI

from headrace.api.services import Services
from headrace.control import orgs, tokens

NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
"""An id that is well formed and nobody's."""


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait until the condition holds; a minute is the end of all patience."""
    async with asyncio.timeout(60):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


_documents: list[Document] = []


def _document(app: FastAPI) -> Document:
    """One for all tests: the routes are always the same."""
    if not _documents:
        _documents.append(Document(app))
    return _documents[0]


class Caller:
    """Calls the API with one token. Every answer is held against the OpenAPI document."""

    def __init__(self, app: FastAPI, token: str, org_id: UUID) -> None:
        self.token = token
        self.org_id = org_id
        self._document = _document(app)
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://headrace.test",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        if body is not None:
            options["json"] = body
        answer = await self.http.request(method, path, **options)
        self._document.check(method, path.partition("?")[0], answer)
        return answer

    async def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of an answer that must be a 200."""
        answer = await self(method, path, body, **options)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def fails(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of an answer that must have this status; it must be in the contract's form."""
        answer = await self(method, path, body, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        content = answer.json()
        assert set(content) == ({"summary", "validation_errors"} if status == 422 else {"summary"})
        assert len(content["summary"]) > 10
        return content

    async def invalid(self, method: str, path: str, body: Any, **options: Any) -> dict[str, list[str]]:
        """The fields that a 422 names, with their reasons."""
        errors: dict[str, list[str]] = (await self.fails(422, method, path, body, **options))["validation_errors"]
        return errors


class Callers:
    """Makes callers, and organisations for them."""

    def __init__(self, app: FastAPI, services: Services) -> None:
        self._app = app
        self._services = services
        self._opened: list[Caller] = []

    async def admin(self, *, instance: bool = False, name: str = "Choam") -> Caller:
        """An admin of a new organisation."""
        now = self._services.db.clock.now()
        async with self._services.db.transaction() as conn:
            org = await orgs.create(conn, name, now)
        return await self.of(org.org_id, ["admin"], instance=instance)

    async def of(
        self, org_id: UUID, scopes: Iterable[str], *, streams: list[UUID] | None = None, instance: bool = False
    ) -> Caller:
        """A caller of an organisation that is there."""
        now = self._services.db.clock.now()
        async with self._services.db.transaction() as conn:
            _, secret = await tokens.create(
                conn, org_id, f"test {scopes}", scopes, now, stream_ids=streams, instance=instance
            )
        return self.with_token(secret, org_id)

    def with_token(self, token: str, org_id: UUID) -> Caller:
        caller = Caller(self._app, token, org_id)
        self._opened.append(caller)
        return caller

    async def close(self) -> None:
        for caller in self._opened:
            await caller.http.aclose()
