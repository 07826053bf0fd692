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

from headrace.providers.github.standing import gone_at, id_in
from headrace.providers.kit import Context, Delete, Delivery, Hint, NotGenuine, Page, Steps

_GONE = ("deleted", "transferred", "removed")
_COMMENTS = {
    "issue_comment": ("github:issue_comment", "issues"),
    "pull_request_review_comment": ("github:review_comment", "pulls"),
}


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
    above = "/".join(address.split("/")[:3]) if hint.collection != "github:repository" else None
    moment = yield from gone_at(address, lambda response: id_in(response) == hint.id, above, address.split("/")[2])
    return Page([] if moment is None else [Delete(hint.collection, hint.id, moment)])
