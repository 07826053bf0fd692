"""How Salesforce is reached: whose credential it is, what refusals mean, what is left of the day."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.kit import Refused
from headrace.providers.kit.checks import drive
from headrace.providers.salesforce import SALESFORCE, access
from headrace.vault.grants import App

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HELD = {"instance_url": "https://acme.my.salesforce.com", "access_token": "00D!x", "refresh_token": "5Aep"}
(KIND,) = SALESFORCE.kinds
ROW = {"Id": "00D000000000001AAA", "Name": "The Mill", "IsSandbox": True}


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, body if isinstance(body, bytes) else orjson.dumps(body), NOW, headers)


def refusal(code: str, status: int, message: str = "no") -> Response:
    return answer([{"errorCode": code, "message": message}], status)


def verify(answers: Mapping[str, Response]) -> Any:
    """The account, where each request is answered by what its path ends with; all else is not there."""

    def respond(request: Request) -> Response:
        return next((made for end, made in answers.items() if request.url.endswith(end)), refusal("NOT_FOUND", 404))

    return drive(KIND.verify(HELD, NOW), respond)[0]  # type: ignore[arg-type]


def test_the_organisation_says_whose_credential_it_is() -> None:
    account = verify({"/v65.0/query": answer({"records": [ROW]})})
    assert (account.id, account.mode, account.learned) == ("00D000000000001AAA", "test", {"name": "The Mill"})


def test_an_instance_that_does_not_serve_our_version_is_read_in_its_own() -> None:
    served = answer([{"version": "58.0"}, {"version": "61.0"}, {"version": "70.0"}])
    account = verify({"/services/data": served, "/v61.0/query": answer({"records": [ROW]})})
    assert account.learned["api_version"] == "v61.0"
    assert access.path(account.learned) == "/services/data/v61.0"


def test_a_user_who_may_not_read_the_organisation_tells_its_id_otherwise() -> None:
    told = answer({"organization_id": "00D2"})
    assert verify({"/query": refusal("INVALID_TYPE", 400), "/userinfo": told}).id == "00D2"
    assert verify({"/query": refusal("API_DISABLED_FOR_ORG", 403)}).id == ""


def test_a_session_that_is_over_is_refused() -> None:
    with pytest.raises(Refused, match="expired"):
        verify({"/query": refusal("INVALID_SESSION_ID", 401, "Session expired or invalid")})


def test_an_org_that_moved_is_followed_to_its_instance() -> None:
    assert KIND.grant is not None
    told = answer({"access_token": "00D!y", "instance_url": "https://na99.salesforce.com", "scope": "api"})
    minted, (request,) = drive(KIND.grant.mint(HELD, App("client", "secret"), NOW), lambda request: told)  # type: ignore[arg-type]
    assert request.anonymous
    assert SALESFORCE.base_url({**HELD, **minted.learned}) == "https://na99.salesforce.com"  # type: ignore[attr-defined]
    elsewhere = answer({"access_token": "00D!y", "instance_url": "https://attacker.example"})
    with pytest.raises(Refused, match="no host of Salesforce's"):
        drive(KIND.grant.mint(HELD, App("client", "secret"), NOW), lambda request: elsewhere)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer({"records": []}), None),
        (answer([]), None),
        (answer(b"<html>Down for maintenance</html>"), "transient"),
        (answer(b'{"records":[{"Id"'), "transient"),
        (answer(b'"Id"\n"001"\n', 200, **{"content-type": "text/csv"}), None),
        (refusal("REQUEST_LIMIT_EXCEEDED", 403, "TotalRequests Limit exceeded."), "quota"),
        (refusal("REQUEST_LIMIT_EXCEEDED", 403, "ConcurrentPerOrgLongTxn Limit exceeded."), "rate"),
        (refusal("QUERY_TIMEOUT", 400), "split"),
        (refusal("INVALID_QUERY_LOCATOR", 400), "restart"),
        (refusal("INVALID_REPLICATION_DATE", 400), "expired"),
        (refusal("INVALID_SESSION_ID", 401), "auth"),
        (refusal("INVALID_TYPE", 400), "permission"),
        (refusal("ENTITY_IS_DELETED", 404), "gone"),
        (refusal("UNABLE_TO_LOCK_ROW", 400), "transient"),
        (refusal("SERVER_UNAVAILABLE", 503), "transient"),
        (answer(b"<h1>URI Too Long</h1>", 414), "config"),
    ],
)
def test_answers_are_told_by_what_one_does_about_them(response: Response, kind: str | None) -> None:
    fault = SALESFORCE.fault(response)
    assert (fault and fault.kind) == kind


def test_a_fifth_of_the_day_is_left_to_the_customer() -> None:
    (left,) = SALESFORCE.limits.remaining(answer({}, **{"sforce-limit-info": "api-usage=896/15000"}))
    assert left.remaining == 15_000 * 0.8 - 896
    (left,) = SALESFORCE.limits.remaining(answer({}, **{"sforce-limit-info": "api-usage=14900/15000"}))
    assert left.remaining == 0
    assert SALESFORCE.limits.remaining(answer({})) == ()


def test_a_day_that_is_used_up_is_waited_for() -> None:
    day = SALESFORCE.limits.too_many(refusal("REQUEST_LIMIT_EXCEEDED", 403, "TotalRequests Limit exceeded."))
    long = SALESFORCE.limits.too_many(refusal("REQUEST_LIMIT_EXCEEDED", 403, "ConcurrentPerOrgLongTxn Limit exceeded."))
    assert day is not None
    assert long is not None
    assert (day.retry_after_s, long.retry_after_s) == (900, 60)
    assert SALESFORCE.limits.too_many(refusal("API_DISABLED_FOR_ORG", 403)) is None
