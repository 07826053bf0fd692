"""Webhooks: what is gone, as hints with the address at which it stood.

Sources: https://docs.github.com/en/webhooks/webhook-events-and-payloads (issues, issue_comment,
pull_request_review_comment, repository, installation_repositories), "Validating webhook deliveries";
https://docs.github.com/en/rest/issues/issues#get-an-issue (301 transferred, 404 or 410 deleted).
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from headrace.http import Request
from headrace.providers.github.access import is_limited, message_of
from headrace.providers.github.places import CORE
from headrace.providers.kit import Context, Delete, Delivery, Fault, Faulted, Hint, NotGenuine, Page, Steps
from headrace.providers.kit.rows import Picker, decoded

_GONE = ("deleted", "transferred", "removed")
_COMMENTS = {
    "issue_comment": ("github:issue_comment", "issues"),
    "pull_request_review_comment": ("github:review_comment", "pulls"),
}
_NOT_THERE = (403, 404, 410, 451)
_id = Picker(id=("id", Any))


def read_webhook(delivery: Delivery, secret: str, now: datetime) -> list[Hint]:
    """Check `X-Hub-Signature-256`: HMAC-SHA256 of the body with the webhook's secret. Deliveries come in any order,
    once or not at all, and carry no time, so an old one may be played again; that costs a look and no more."""
    expected = "sha256=" + hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    given = delivery.headers.get("x-hub-signature-256", "")
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise NotGenuine("the X-Hub-Signature-256 header does not fit the body and the webhook's secret")
    event = delivery.headers.get("x-github-event", "")
    if event not in ("issues", "repository", "installation_repositories", *_COMMENTS):
        return []
    return _gone(event, orjson.loads(delivery.body))


def accounts_of(delivery: Delivery) -> list[str]:
    """The installation of the App to which it was sent."""
    installation = orjson.loads(delivery.body).get("installation") or {}
    return [str(installation["id"])] if "id" in installation else []


def _gone(event: str, told: Mapping[str, Any]) -> list[Hint]:
    """What is gone. Short lists (releases, labels, members, …) are read anew in any case, and show it."""
    if told.get("action") not in _GONE:
        return []
    if event == "installation_repositories":
        return [_repository(each) for each in told.get("repositories_removed") or ()]
    repository = told["repository"]
    if event == "repository":
        return [_repository(repository)]
    place = f"/repositories/{repository['id']}"
    if event == "issues":
        issue = told["issue"]
        return [Hint("github:issue", str(issue["id"]), f"{place}/issues/{issue['number']}")]
    collection, kind = _COMMENTS[event]
    key = told["comment"]["id"]
    return [Hint(collection, str(key), f"{place}/{kind}/comments/{key}")]


def _repository(repository: Mapping[str, Any]) -> Hint:
    return Hint("github:repository", str(repository["id"]), f"/repositories/{repository['id']}")


def look(ctx: Context, hint: Hint) -> Steps:
    """Whether what was named is gone: not to be had at its address, or another one by now (an issue that was
    transferred), while its repository can be read; what may not be seen hides behind the same answers. Nothing where
    it is there."""
    address = str(hint.address)
    response = yield Request(address, limit_class=CORE, accept=_NOT_THERE)
    if response.status < 300:
        key = decoded(lambda: _id(response.body))[0]
        return Page([] if str(key) == hint.id else [Delete(hint.collection, hint.id, response.sent_at)])
    if is_limited(response):
        raise Faulted(Fault("rate", message_of(response)))
    if response.status == 403:
        raise Faulted(Fault("permission", message_of(response)))
    if hint.collection != "github:repository":
        above = yield Request("/".join(address.split("/")[:3]), limit_class=CORE, accept=_NOT_THERE)
        if is_limited(above):
            raise Faulted(Fault("rate", message_of(above)))
        if above.status >= 300:
            return Page()  # the repository is out of sight, and what is in it with it
    return Page([Delete(hint.collection, hint.id, response.sent_at)])
