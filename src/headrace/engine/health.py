"""Health as the holder of a sync sees it: what went wrong with which reading, in plain words, and what to do.

Written only when it changes. What can only be told at the time of asking, that nothing has been read for too long, is
added by whoever reads it (`status.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import orjson
import structlog

from headrace.clock import iso
from headrace.db.queries import load
from headrace.engine.access import Access
from headrace.engine.schedule import back_off
from headrace.engine.session import Session
from headrace.engine.transport import ReadFailed
from headrace.errors import HeadraceError
from headrace.providers.kit import FaultClass
from headrace.vault.credentials import set_health

log = structlog.get_logger(__name__)

SQL = load(__package__, "states.sql")
SAVE_HEALTH = SQL.save_health
NOTE_ERROR = load(__package__, "checkpoints.sql").note_error

Status = Literal["initializing", "healthy", "warning", "error"]
PASSING: frozenset[FaultClass] = frozenset({"rate", "quota", "transient"})
"""Faults that pass by themselves: a warning. Every other needs a person."""
LEAST_RETRY, MOST_RETRY = timedelta(seconds=1), timedelta(minutes=5)
LEAST_PROBE, MOST_PROBE = timedelta(minutes=1), timedelta(hours=1)
_MOST_NAMED = 3


@dataclass(slots=True)
class Problem:
    """What stands in the way of one reading. `warnings` and `errors` are its failures in a row of either kind. `whole`:
    it stands in the way of every other as well."""

    status: Status
    note: str
    since: datetime
    warnings: int
    errors: int
    retry_at: datetime
    whole: bool = False

    @property
    def failures(self) -> int:
        return self.warnings + self.errors


class Health:
    """The problems of one sync by reading, across changes of its fence."""

    def __init__(self) -> None:
        self.problems: dict[str, Problem] = {}
        self._saved: tuple[Status, str] | None = None
        self._refused = False
        self._errors: list[tuple[str, str, str]] = []

    def failed(self, reading: str, scope: str, error: Exception, now: datetime, access: Access) -> None:
        """Take note of a failed attempt, and of when to try again."""
        name = name_of(reading, scope)
        earlier = self.problems.get(name)
        since, warnings, errors = (now, 0, 0) if earlier is None else (earlier.since, earlier.warnings, earlier.errors)
        status, note, whole = _told(reading, name, error, access)
        # Each kind is waited out by its own count: an error's first probe comes soon, whatever passed by itself before.
        if status == "warning":
            warnings += 1
            retry_at = now + back_off(warnings, LEAST_RETRY, MOST_RETRY)
        else:
            errors += 1
            retry_at = now + back_off(errors, LEAST_PROBE, MOST_PROBE)
        if isinstance(error, ReadFailed) and error.retry_at is not None:
            retry_at = max(retry_at, error.retry_at)
        self.problems[name] = Problem(status, note, since, warnings, errors, retry_at, whole)
        if whole:
            # One reading probes for all: the others need not find out for themselves that it is still so.
            for problem in self.problems.values():
                if problem.whole:
                    problem.retry_at = max(problem.retry_at, retry_at)
        self._errors.append((reading, scope, orjson.dumps({"at": iso(now), "message": note}).decode()))

    def succeeded(self, reading: str, scope: str) -> None:
        """The reading works again; if it was a probe, so does every other that waited for it."""
        problem = self.problems.pop(name_of(reading, scope), None)
        if problem is not None and problem.whole:
            self.forget()

    def retry_at(self, reading: str, scope: str) -> datetime | None:
        """Before when the reading is not to be tried again."""
        problem = self.problems.get(name_of(reading, scope))
        return None if problem is None else problem.retry_at

    def forget(self) -> None:
        """A new credential, or another configuration: everything is tried again at once."""
        self.problems.clear()

    def try_now(self, now: datetime) -> None:
        """Somebody asked for a read: what waits for its next attempt is tried at once."""
        for problem in self.problems.values():
            problem.retry_at = min(problem.retry_at, now)

    def blocked_until(self) -> datetime | None:
        """When the next probe is due, while something stands in the way of every reading."""
        return min((each.retry_at for each in self.problems.values() if each.whole), default=None)

    def told(self, session: Session, purged: Iterable[str]) -> tuple[Status, list[str]]:
        """Status and notes. `purged` are collections that wait to be read again."""
        problems = self.problems.values()
        trouble = session.ingest.trouble
        status: Status = "healthy"
        if session.held or session.missing or any(each.status == "error" for each in problems):
            status = "error"
        elif problems or trouble is not None or any(session.refused.values()):
            status = "warning"
        elif session.answered_at is None:
            status = "initializing"
        notes = _grouped(self.problems)
        notes += [trouble] if trouble is not None else []
        notes += [
            f"{key}: {held.deletes} of {held.of} records seem to be gone at the provider; none was deleted. Look "
            f"whether that is so, then POST /v1/syncs/{session.sync.id}/collections/{key}/confirm-deletes "
            f'{{"sweep_id": "{held.sweep_id}"}}.'
            for key, held in session.held.items()
        ]
        notes += [_refused_note(key, left_out) for key, left_out in sorted(session.refused.items()) if left_out]
        notes += [_missing_note(key, session) for key in sorted(session.missing)]
        notes += [f"{key} was purged. POST /v1/syncs/{session.sync.id}/backfills reads it again." for key in purged]
        notes += filter(None, (session.collection(key).notice for key in sorted(session.wanted)))
        return status, list(dict.fromkeys(notes))

    async def save(self, session: Session, purged: Iterable[str]) -> None:
        """Write it, and what it says of the credential, if that is not what was written last."""
        await self._write_errors(session)
        status, notes = self.told(session, purged)
        text = orjson.dumps(notes).decode()
        if self._saved == (status, text):
            return
        now, fence, problems = session.now(), session.fence, self.problems.values()
        since = min((each.since for each in problems), default=now if status == "error" else None)
        log.info("health", sync_id=str(fence.sync_id), status=status, notes=notes)
        pool = session.services.db.ingest
        await pool.execute(
            SAVE_HEALTH,
            fence.stream_id,
            fence.sync_id,
            status,
            text,
            since,
            max((each.failures for each in problems), default=0),
            now if status == "healthy" else None,
            session.answered_at,
            fence.epoch,
        )
        self._saved = (status, text)
        await self._tell_credential(session, [each.note for each in problems if each.whole])

    async def _write_errors(self, session: Session) -> None:
        """Each reading's last error stands beside its checkpoint, until an append of it succeeds."""
        errors, self._errors = self._errors, []
        fence = session.fence
        for reading, scope, error in errors:
            row = (fence.stream_id, fence.sync_id, reading, scope)
            await session.services.db.ingest.execute(NOTE_ERROR, *row, error, fence.epoch)

    async def _tell_credential(self, session: Session, notes: list[str]) -> None:
        """The credential is as good as the provider's last word on it."""
        if bool(notes) == self._refused:
            return
        self._refused = bool(notes)
        access = session.access
        async with session.services.db.ingest.acquire() as conn:
            status = "error" if notes else "ok"
            await set_health(conn, access.org_id, access.credential_id, status, notes, session.now())


def name_of(reading: str, scope: str) -> str:
    """The words for a reading in notes and logs."""
    return f"{reading} of {scope}"


def _grouped(problems: Mapping[str, Problem]) -> list[str]:
    """The notes, and one for all readings that fail alike: a provider that is away fails every one of them. It names
    the first of them and does not number the others, so that it is not written anew with each."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name, problem in problems.items():
        alike[problem.note.removeprefix(f"{name}: ")].append(name)
    notes = []
    for words, names in alike.items():
        note = problems[names[0]].note
        named = ", ".join(names[:_MOST_NAMED]) + (" and others" if len(names) > _MOST_NAMED else "")
        notes.append(note if len(names) == 1 or note == words else f"{named}: {words}")
    return notes


def _refused_note(key: str, left_out: Mapping[str, str]) -> str:
    partition, reason = min(left_out.items())
    more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return (
        f"{key}: the provider refuses {partition}{more}: {reason.rstrip('. ')}. The others are read without; it is "
        "tried again from time to time. Put it right at the provider."
    )


def _missing_note(key: str, session: Session) -> str:
    if session.access.provider.discovery is None:
        return f"{key} is no collection of this release's connector. Take it away: PATCH /v1/syncs/{session.sync.id}."
    if session.access.refused_at is not None:
        return (
            f"{key} is not read: it is one of the account's own collections, which the credential may not list. Grant "
            f"that at the provider, or take it away: PATCH /v1/syncs/{session.sync.id}."
        )
    return (
        f"{key} was not found in the account, so it is not read. See that the credential may see it there, or take it "
        f"away: PATCH /v1/syncs/{session.sync.id}. GET /v1/collections/{session.access.credential_id} lists what is "
        "there; it is looked for every hour."
    )


def _told(reading: str, name: str, error: Exception, access: Access) -> tuple[Status, str, bool]:
    """Status, note, and whether it stands in the way of every reading."""
    if not isinstance(error, ReadFailed):
        if isinstance(error, HeadraceError):
            return "error", f"{name}: {error.summary}", False
        return (
            "error",
            f"{name}: an unexpected {type(error).__name__} stopped it. See the log; it is tried again.",
            False,
        )
    kind, message = error.fault.kind, access.scrub(error.fault.message).rstrip(". ")
    if kind == "auth":
        note = (
            f"The provider refuses the credential: {message}. Reconnect: PATCH /v1/credentials/{access.credential_id}."
        )
        return "error", note, True
    if kind == "permission" and reading == "discovery":
        note = (
            f"The credential may not list the account's own collections: {message}. Grant that at the provider; it is "
            "tried again within the hour. The collections that are known go on."
        )
        return "error", note, False
    if kind == "permission":
        return "error", f"{name}: the credential is not allowed to: {message}. Grant it at the provider.", False
    if kind in ("rate", "quota"):
        return "warning", f"{name}: the provider asks to wait: {message}. It goes on by itself.", False
    if kind == "transient":
        return "warning", f"{name}: the provider does not answer as it should: {message}. It is tried again.", False
    return "error", f"{name}: {message}. It is tried again from time to time; put it right at the provider.", False
