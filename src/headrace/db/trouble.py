"""The database's errors by what they mean for whoever runs Headrace."""

import asyncpg

from headrace.db.pool import AWAY

NO_WRITES: tuple[type[Exception], ...] = (asyncpg.ReadOnlySQLTransactionError,)
"""The server takes no writes: it was set read-only, or it is a standby, perhaps since a fail-over."""

PASSING: tuple[type[Exception], ...] = (
    *AWAY,
    *NO_WRITES,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.PostgresSystemError,  # a file that cannot be read or written
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.OperatorInterventionError,  # statement timeout, shutdown
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""Errors that pass: what was asked is repeated until it succeeds, and a repeat changes nothing that was stored."""


def in_words(error: BaseException) -> str:
    """What is wrong with the database, for /ready and the log: no value, name or address is in it."""
    if isinstance(error, asyncpg.InsufficientResourcesError):
        return "the database has no room left (disk, memory or connections); make room, and all goes on by itself"
    if isinstance(error, NO_WRITES):
        return "the database takes no writes: it is read-only, or a standby; all goes on by itself when it does"
    if isinstance(error, AWAY):
        return f"the database does not answer ({type(error).__name__}); all goes on by itself when it does"
    return f"the database refuses what is asked ({type(error).__name__})"
