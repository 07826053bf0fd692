"""Errors by what one does about them.

    HeadraceError
    ├── NotFound           404: not there, malformed id, or another organisation's
    ├── Invalid            422: fields of the body with reasons
    ├── BadRequest         400: the request itself cannot be read
    ├── TooLarge           413
    ├── Unauthorized       401
    ├── Forbidden          403: the token's scope does not reach
    ├── TooManyRequests    429: come back after `retry_after` seconds
    ├── Unavailable        503: the database is away; nothing was done
    ├── NotImplementedYet  501
    ├── ProviderFailed     502: the provider answered with an error
    ├── ProviderTimedOut   504
    ├── TimedOut           504: what was waited for did not come in time
    ├── Fenced             a late writer: its lease, or the shape of its sync, has changed; drop the work
    └── ImplementationError  a connector broke its contract; the message says how to mend it

Every message says in plain words what happened, to what, and what to do next. None carries a secret.
"""

from collections.abc import Mapping, Sequence


class HeadraceError(Exception):
    """The root: `summary` is shown to the caller as it is."""

    status = 500

    def __init__(self, summary: str) -> None:
        super().__init__(summary)
        self.summary = summary


class NotFound(HeadraceError):
    status = 404


class Invalid(HeadraceError):
    """Fields that do not hold: `errors` maps a dotted field name to its reasons."""

    status = 422

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__("Validation failed")
        self.errors = {field: list(reasons) for field, reasons in errors.items()}


class BadRequest(HeadraceError):
    status = 400


class TooLarge(HeadraceError):
    status = 413


class Unauthorized(HeadraceError):
    status = 401


class Forbidden(HeadraceError):
    status = 403


class TooManyRequests(HeadraceError):
    status = 429

    def __init__(self, summary: str, retry_after: float) -> None:
        super().__init__(summary)
        self.retry_after = retry_after


class Unavailable(HeadraceError):
    status = 503


class NotImplementedYet(HeadraceError):
    status = 501


class ProviderFailed(HeadraceError):
    status = 502


class ProviderTimedOut(HeadraceError):
    status = 504


class TimedOut(HeadraceError):
    status = 504


class Fenced(HeadraceError):
    """The epoch or revision of the sync is no longer the writer's: nothing was written, drop the work."""

    status = 409


class ImplementationError(HeadraceError):
    """A connector broke the contract of the kit."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Implementation error: {what}")
