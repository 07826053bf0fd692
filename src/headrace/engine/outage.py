"""What the database can raise, for loops that must outlive it."""

import asyncpg

from headrace.db.pool import AWAY

OUTAGE: tuple[type[Exception], ...] = (*AWAY, asyncpg.PostgresError)
"""The database is away, or refuses a statement for now (shutting down, disk full, a lock not had in time)."""
