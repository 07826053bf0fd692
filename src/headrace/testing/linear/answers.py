"""Linear's errors: GraphQL errors with a code and a type (error types of @linear/sdk)."""

from headrace.testing.exchange import Reply


def error(message: str, code: str, kind: str, status: int = 200) -> Reply:
    extensions = {"code": code, "type": kind, "userError": True, "userPresentableMessage": message}
    return Reply.json({"errors": [{"message": message, "extensions": extensions}], "data": None}, status)


def too_many() -> Reply:
    """https://linear.app/developers/rate-limiting: 400, not 429."""
    return error("Rate limit exceeded. Please wait before trying again.", "RATELIMITED", "ratelimited", 400)


def unauthorized() -> Reply:
    return error("Authentication required, not authenticated", "AUTHENTICATION_ERROR", "authentication error", 401)


def forbidden() -> Reply:
    return error("You do not have access to this resource", "FORBIDDEN", "forbidden")


def server_error(status: int) -> Reply:
    return error("Internal server error", "INTERNAL_SERVER_ERROR", "internal error", status)


def too_complex(points: float) -> Reply:
    return error(f"Query too complex: {points:.0f} of 10000 points", "INPUT_ERROR", "invalid input", 400)
