"""Airtable's errors (https://airtable.com/developers/web/api/errors)."""

from headrace.testing.exchange import Reply


class Refused(Exception):
    """A call that is answered with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def error(status: int, kind: str, message: str) -> Reply:
    """An object with type and message; what is not found at all is told by one word."""
    return Reply.json({"error": {"type": kind, "message": message} if message else kind}, status)


FORBIDDEN = error(
    403,
    "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
    "Invalid permissions, or the requested model was not found. Check that both your user and your token have the "
    "required permissions, and that the model names and/or ids are correct.",
)


def unauthorized() -> Reply:
    return error(401, "AUTHENTICATION_REQUIRED", "Authentication required")


def too_many() -> Reply:
    message = "Rate limit exceeded. Please try again later"
    return Reply.json({"errors": [{"error": "RATE_LIMIT_REACHED", "message": message}]}, 429)


def month_used_up() -> Reply:
    """https://support.airtable.com/docs/managing-api-call-limits-in-airtable."""
    message = "The workspace has reached its monthly API call limit"
    return Reply.json({"errors": [{"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": message}]}, 429)
