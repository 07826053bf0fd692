"""GitHub's refusals, in its own words (https://docs.github.com/en/rest, "Troubleshooting", "Rate limits")."""

from headrace.testing.exchange import Reply

_DOCS = "https://docs.github.com/rest"


def error(status: int, message: str, headers: tuple[tuple[str, str], ...] = (), docs: str = _DOCS) -> Reply:
    return Reply.json({"message": message, "documentation_url": docs, "status": str(status)}, status, headers)


def not_found() -> Reply:
    return error(404, "Not Found")


def moved(location: str) -> Reply:
    return Reply.json({"message": "Moved Permanently", "url": location}, 301, (("Location", location),))


def bad_credentials() -> Reply:
    return error(401, "Bad credentials")


def forbidden() -> Reply:
    return error(403, "Resource not accessible by integration")


def no_agent() -> Reply:
    """GitHub refuses requests without a User-Agent."""
    return error(
        403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header"
    )


def primary(reset: int, status: int = 403) -> Reply:
    """The hourly budget is used up; which of 403 and 429 it is, GitHub leaves open."""
    headers = (("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", str(reset)), ("X-RateLimit-Resource", "core"))
    return error(
        status, "API rate limit exceeded for user ID 1001.", headers, f"{_DOCS}/overview/rate-limits-for-the-rest-api"
    )


def secondary(wait_s: int | None, status: int = 403) -> Reply:
    """A secondary limit: with Retry-After, or without, when a minute is to be waited."""
    headers = () if wait_s is None else (("Retry-After", str(wait_s)),)
    text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return error(status, text, headers, f"{_DOCS}/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits")


def server_error(status: int) -> Reply:
    if status == 503:
        return Reply(503, b"<html><body><h1>Unicorn!</h1></body></html>", content_type="text/html; charset=utf-8")
    return error(status, "Server Error")


def app_refused(message: str) -> Reply:
    return error(401, message, docs=f"{_DOCS}/apps")
