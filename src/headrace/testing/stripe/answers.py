"""Stripe's errors in its own words (docs.stripe.com/api/errors, docs.stripe.com/error-codes)."""

from typing import Any

from headrace.testing.exchange import Header, Reply

DOCS = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """An answer that is no success; raised anywhere below the router."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.headers = headers

    def reply(self, request_id: str) -> Reply:
        error: dict[str, Any] = {}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = DOCS + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        error["type"] = self.kind
        return Reply.json({"error": error}, self.status, self.headers)


def masked(key: str) -> str:
    """A key as Stripe shows it in messages: its kind and its last four characters."""
    kind = "_".join(key.split("_")[:2]) if key.count("_") >= 2 else key[:3]
    return f"{kind}_{'*' * 12}{key[-4:]}" if len(key) > 12 else f"{kind}_****"


def no_key() -> StripeError:
    return StripeError(
        401,
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
        "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for "
        "details, or we can help at https://support.stripe.com/.",
        headers=(("WWW-Authenticate", 'Bearer realm="Stripe"'),),
    )


def invalid_key(key: str) -> StripeError:
    return StripeError(
        401,
        f"Invalid API Key provided: {masked(key)}",
        headers=(("WWW-Authenticate", 'Bearer realm="Stripe"'),),
    )


def expired_key(key: str) -> StripeError:
    return StripeError(
        401,
        f"Expired API Key provided: {masked(key)}",
        code="api_key_expired",
        headers=(("WWW-Authenticate", 'Bearer realm="Stripe"'),),
    )


def no_permission(key: str, account: str, permission: str) -> StripeError:
    """As seen in stripe/stripe-node issue 2246: type invalid_request_error, no code."""
    return StripeError(
        403,
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint on account "
        f"'{account}'. Having the '{permission}' permission would allow this request to continue.",
    )


def no_account(key: str, account: str) -> StripeError:
    return StripeError(
        403,
        f"The provided key '{masked(key)}' does not have access to account '{account}' (or that account does not "
        "exist). Application access may have been revoked.",
        code="account_invalid",
    )


def too_many(reason: str) -> StripeError:
    """docs.stripe.com/rate-limits: the header names the limit; there is no Retry-After."""
    return StripeError(
        429,
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers=(("Stripe-Rate-Limited-Reason", reason), ("Stripe-Should-Retry", "true")),
    )


def server_error(status: int) -> StripeError:
    return StripeError(
        status,
        "An unknown error occurred. We have been notified and are looking into it.",
        kind="api_error",
        headers=(("Stripe-Should-Retry", "true"),),
    )


def unrecognized(method: str, path: str) -> StripeError:
    return StripeError(
        404,
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
    )


def missing(kind: str, object_id: str, param: str = "id") -> StripeError:
    """404 for an id in the path; 400 where a parameter names what is not there (stripe/stripe-go issue 1030)."""
    status = 404 if param == "id" else 400
    return StripeError(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def unknown_parameter(name: str) -> StripeError:
    return StripeError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def aged_out(event_id: str) -> StripeError:
    """In the words that estuary/connectors matches (source-stripe-native, EVENT_NO_LONGER_RETAINED)."""
    return StripeError(
        400, f"The event '{event_id}' is no longer available because it's aged out of our retention policy."
    )


def not_enabled(product: str) -> StripeError:
    """What an account that has not signed up for a product is told (Issuing, Terminal, …)."""
    return StripeError(400, f"Your account is not set up to use {product}. Please visit https://dashboard.stripe.com/.")
