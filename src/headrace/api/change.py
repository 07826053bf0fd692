"""A change to a management object: its effect, its idempotency key and its audit row commit as one.

    async def rename(change: StreamChange, stream: PathStream, body: ...) -> Json:
        async with change.transaction() as tx:
            await streams.update(tx.conn, renamed)
            return tx.answer(render(renamed), object_id=renamed.id)

A repetition with the same `Idempotency-Key` is answered before the route begins; a concurrent one waits within
`transaction` and is answered there, by `Replayed`. A call that is refused leaves its audit row and, with a key, its
answer.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from headrace import jsontext
from headrace.api.answers import Json, problem
from headrace.api.auth import Caller, require
from headrace.api.queries import check_query
from headrace.api.services import Services, services_of
from headrace.control import audit, idempotency
from headrace.control.idempotency import Kept, Scope
from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.errors import BadRequest, HeadraceError, Invalid
from headrace.ids import parse_uuid
from headrace.vault.sealing import identity

_LONGEST_KEY = 255
REPLAYED = "Idempotent-Replayed"


class Replayed(Exception):
    """The call was made before: `answer` is what was answered then."""

    def __init__(self, answer: Json) -> None:
        super().__init__("answered before")
        self.answer = answer


class _RollBack(Exception):
    """The end of a dry run."""


class Transaction:
    """What a route works with between begin and commit."""

    def __init__(self, conn: Conn, now: datetime, principal: Principal) -> None:
        self.conn = conn
        self.now = now
        self.principal = principal
        self.kept: Any = None
        self.object_id: str | None = None
        self.answered = False
        self.is_plan = False

    def answer(self, content: Any, *, object_id: UUID | str | None = None, once: dict[str, Any] | None = None) -> Json:
        """The answer once the transaction has committed.

        `object_id` names in the audit what was changed, where the path does not. `once` holds fields that are shown in
        this answer only: a repetition with the same idempotency key reads null there.
        """
        self.answered = True
        self.kept = {**content, **dict.fromkeys(once)} if once else content
        self.object_id = None if object_id is None else str(object_id)
        return Json({**content, **once} if once else content)

    def plan(self, plan: Any) -> Json:
        """The answer of a dry run: whatever was done is rolled back, nothing is kept or noted."""
        self.withdraw()
        return Json(plan)

    def withdraw(self) -> None:
        """It is a dry run, whose plan is not whole yet: it is answered when the transaction is over."""
        self.answered = self.is_plan = True


class Change:
    """One call that changes something."""

    def __init__(self, request: Request, principal: Principal, services: Services) -> None:
        self.principal = principal
        self.services = services
        self._request = request
        self._method = request.method
        self._route: str = request.scope["route"].path_format
        self._scope: Scope | None = None
        self._body_hash = b""
        self._callbacks: list[Callable[[], object]] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin; commit at the end of the block, which must have answered. An exception rolls everything back."""
        now = self.services.db.clock.now()
        try:
            async with self.services.db.transaction() as conn:
                if self._scope is not None and not await idempotency.take(conn, self._scope, self._body_hash, now):
                    await self._replay(conn, now)
                tx = Transaction(conn, now, self.principal)
                yield tx
                if not tx.answered:
                    raise RuntimeError(f"{self._method} {self._route} ended its transaction without an answer")
                if tx.is_plan:
                    raise _RollBack
                await self._keep(conn, 200, jsontext.dumps(tx.kept))
                await self._note(conn, 200, now, tx.object_id)
        except _RollBack:
            return
        for callback in self._callbacks:
            callback()

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call this once the change is committed: to forget what is remembered of the old state."""
        self._callbacks.append(callback)

    async def begin(self) -> None:
        """Raises Replayed when the call has an idempotency key and was answered before."""
        key = self._request.headers.get("idempotency-key")
        if key is None or self._method not in ("POST", "PATCH"):
            return
        if not 1 <= len(key) <= _LONGEST_KEY:
            raise BadRequest(f"The header Idempotency-Key must have 1 to {_LONGEST_KEY} characters.")
        url = self._request.url
        asked = (url.path.encode(), url.query.encode(), await self._request.body())
        self._body_hash = hashlib.sha256(identity("request", *asked)).digest()
        self._scope = Scope(self.principal.org_id, self.principal.token_id, f"{self._method} {self._route}", key)
        async with self.services.db.api.acquire() as conn:
            now = self.services.db.clock.now()
            if await idempotency.find(conn, self._scope, now):
                await self._replay(conn, now)

    async def refused(self, error: HeadraceError) -> None:
        """Note a call that was refused, and keep its answer for the key. Faults of ours and waits are not kept."""
        if error.status >= 500:
            return
        now = self.services.db.clock.now()
        async with self.services.db.transaction() as conn:
            await self._note(conn, error.status, now)
            if (
                self._scope is not None
                and error.status != 429
                and await idempotency.take(conn, self._scope, self._body_hash, now)
            ):
                await self._keep(conn, error.status, bytes(problem(error).body))

    async def _replay(self, conn: Conn, now: datetime) -> None:
        assert self._scope is not None
        kept = await idempotency.find(conn, self._scope, now)
        assert kept is not None
        raise Replayed(await self._opened(conn, kept))

    async def _opened(self, conn: Conn, kept: Kept) -> Json:
        assert self._scope is not None
        if kept.body_hash != self._body_hash:
            raise Invalid({"Idempotency-Key": ["was used for another request; take a new key for this one"]})
        body = await self.services.keyring.open(conn, self.principal.org_id, _aad(self._scope), kept.answer)
        return Json(body, kept.status, {REPLAYED: "true"})

    async def _keep(self, conn: Conn, status: int, body: bytes) -> None:
        if self._scope is not None:
            sealed = await self.services.keyring.seal(conn, self.principal.org_id, _aad(self._scope), body)
            await idempotency.keep(conn, self._scope, status, sealed)

    async def _note(self, conn: Conn, status: int, now: datetime, object_id: str | None = None) -> None:
        named = next(iter(self._request.path_params.values()), None)
        await audit.write(
            conn,
            self.principal,
            method=self._method,
            route=self._route,
            status=status,
            now=now,
            object_id=object_id or (named if named is not None and parse_uuid(named) else None),
        )


def _aad(scope: Scope) -> bytes:
    return identity("idempotency_keys.answer", scope.token_id, scope.route, scope.key)


class Changes:
    """The dependency: authenticates, checks the admin scope, answers repetitions, and notes refusals."""

    def __init__(self, *, whole_org: bool) -> None:
        self.whole_org = whole_org

    async def __call__(self, request: Request, principal: Caller) -> AsyncIterator[Change]:
        change = Change(request, principal, services_of(request))
        try:
            require(change.principal, "admin", whole_org=self.whole_org)
            check_query(request)
            await change.begin()
            yield change
        except HeadraceError as error:
            await change.refused(error)
            raise


AdminChange = Annotated[Change, Depends(Changes(whole_org=True))]
StreamChange = Annotated[Change, Depends(Changes(whole_org=False))]
