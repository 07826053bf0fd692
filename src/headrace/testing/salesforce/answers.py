"""What Salesforce says when something is amiss.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest (Status Codes and Error Responses),
and the recorded answers of restforce (spec/fixtures, MIT): a list of errors from the API, an object from the token
endpoint.
"""

from headrace.testing.exchange import Reply

_STATUS = {
    "INVALID_SESSION_ID": 401,
    "REQUEST_LIMIT_EXCEEDED": 403,
    "INSUFFICIENT_ACCESS": 403,
    "NOT_FOUND": 404,
    "SERVER_UNAVAILABLE": 503,
    "UNKNOWN_EXCEPTION": 500,
}


class Refusal(Exception):
    """An error of the API; the status is the code's own, 400 where it has none."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or _STATUS.get(code, 400)

    def reply(self) -> Reply:
        return Reply.json([{"message": str(self), "errorCode": self.code}], self.status)


def no_session() -> Refusal:
    return Refusal("INVALID_SESSION_ID", "Session expired or invalid")


def no_more_requests(reason: str) -> Refusal:
    if reason == "ConcurrentPerOrgLongTxn":
        return Refusal("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.")
    return Refusal("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


def not_there() -> Refusal:
    return Refusal("NOT_FOUND", "The requested resource does not exist")


def no_locator() -> Refusal:
    return Refusal("INVALID_QUERY_LOCATOR", "invalid query locator")


def no_grant(description: str) -> Reply:
    return Reply.json({"error": "invalid_grant", "error_description": description}, 400)
