"""From what was raised to the answer: every error takes the contract's form, and none tells more than it should."""

import asyncpg
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from headrace.api.answers import Json, problem
from headrace.api.body import reason_of
from headrace.api.change import Replayed
from headrace.db.pool import AWAY
from headrace.errors import BadRequest, HeadraceError, NotFound, TooLarge, Unavailable

_BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.TransactionRollbackError,
)
_REPEAT = "Repeat the call in a few seconds; with an Idempotency-Key that is safe for every POST and PATCH."

UNFORESEEN = HeadraceError(
    "Headrace failed here, through no fault of the request. Try again; if it stays so, look for the line "
    "'request_failed' in the server's log and report it."
)


def foreseen(error: Exception) -> HeadraceError | None:
    """The error to tell the caller of; None for a fault of ours."""
    match error:
        case HeadraceError():
            return error
        case RequestValidationError():
            return _wrong_query(error)
        case asyncpg.DiskFullError() | asyncpg.OutOfMemoryError():
            return Unavailable(f"The database has no room left. Make room on its disk. {_REPEAT}")
        case asyncpg.ReadOnlySQLTransactionError():
            return Unavailable(f"The database takes no writes now: it is read-only, or a standby. {_REPEAT}")
        case asyncpg.PostgresError() if isinstance(error, _BUSY):
            return Unavailable(f"The database was too busy, and nothing was done. {_REPEAT}")
        case ValueError():  # asyncpg's InterfaceError for a value of the wrong type is one: that is our fault
            return None
        case _ if isinstance(error, AWAY):
            return Unavailable(f"The database cannot be reached. {_REPEAT}")
        case _:
            return None


async def on_headrace_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadraceError)
    return problem(error)


async def on_query_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(_wrong_query(error))


async def on_replayed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Replayed)
    return error.answer


async def on_http_error(request: Request, error: Exception) -> Response:
    """What the framework raises: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(
            NotFound(f"There is nothing at {request.method} of this path. /docs shows the routes there are.")
        )
    if error.status_code == 405:
        methods = ", ".join(sorted(request.app.state.methods_of(request.url.path)))
        return Json(
            {"summary": f"This path takes {methods}, not {request.method}. /docs shows the routes there are."},
            405,
            {"Allow": methods},
        )
    if error.status_code == 413:
        return problem(TooLarge("The body is too large. Send less at once."))
    return Json({"summary": f"{error.detail}. /docs shows how this route is called."}, error.status_code)


def _wrong_query(error: RequestValidationError) -> BadRequest:
    first = error.errors()[0]
    place, name = (*first["loc"], "")[:2]
    return BadRequest(f"The {place} parameter '{name}' {reason_of(first)}. /docs shows what it takes.")
