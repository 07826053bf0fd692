"""Errors of the client, by what one does about them.

    ApiError                the server answered with an error: `status`, `summary`
    ├── Invalid             422: `errors` names the fields and the reasons
    ├── NotFound            404
    ├── Unauthorized        401 and 403: the token, or its scope
    ├── TooManyRequests     429, after the retries: `retry_after` in seconds
    └── Unfinished          504 of `wait`: `answer` says how far each collection came
    ConnectionFailed        no answer came, after the retries

All of them are `ClientError`s. No message holds the token.
"""

from typing import Any


class ClientError(Exception):
    """The root of this package's errors."""


class ConnectionFailed(ClientError):
    """No answer came: the server is not there, or went away in mid-answer."""


class ApiError(ClientError):
    """The server answered with an error."""

    def __init__(self, status: int, summary: str) -> None:
        super().__init__(f"{status}: {summary}")
        self.status = status
        self.summary = summary


class Invalid(ApiError):
    """Fields of the request do not hold: `errors` maps a dotted field name to its reasons."""

    def __init__(self, summary: str, errors: dict[str, list[str]]) -> None:
        super().__init__(422, summary)
        self.errors = errors

    def __str__(self) -> str:
        fields = "; ".join(f"{field} {', '.join(reasons)}" for field, reasons in self.errors.items())
        return f"{super().__str__()} ({fields})"


class NotFound(ApiError):
    pass


class Unauthorized(ApiError):
    pass


class TooManyRequests(ApiError):
    def __init__(self, summary: str, retry_after: float) -> None:
        super().__init__(429, summary)
        self.retry_after = retry_after


class Unfinished(ApiError):
    def __init__(self, summary: str, answer: dict[str, Any]) -> None:
        super().__init__(504, summary)
        self.answer = answer
