"""The API that the commands talk to, and how its objects are named on the command line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headrace.client import Client, ClientError, RetryPolicy
from headrace.client.blocking import Resource
from headrace.client.calls import DEFAULT_URL
from headrace.ids import parse_uuid
from headrace.jsontext import dumps, loads


@contextmanager
def connected() -> Iterator[Client]:
    """The API at `HEADRACE_URL`, with the token `HEADRACE_API_TOKEN`. A person waits: few retries."""
    token = os.environ.get("HEADRACE_API_TOKEN")
    if not token:
        raise ClientError(
            "HEADRACE_API_TOKEN is not set. It is the token that `headrace serve` printed at its first start, "
            "or one made with `headrace tokens create`."
        )
    url = os.environ.get("HEADRACE_URL", DEFAULT_URL)
    with Client(url, token, retries=RetryPolicy(attempts=3), loads=loads, dumps=dumps) as client:
        yield client


def id_of(objects: Resource[Any], name: str, field: str = "name", *, filtered: bool = True) -> str:
    """The id of the object that is called `name`, which may be its id. Raises when none is, or several are.

    `filtered`: the API lists by that name; else all are looked through.
    """
    if parse_uuid(name) is not None:
        return name
    filters = {field: name} if filtered else {}
    found = [each for each in objects.list(**filters) if each[field] == name]
    if len(found) == 1:
        return str(found[0]["id"])
    if found:
        raise ClientError(f"{len(found)} are called {name!r}: give one of the ids {', '.join(e['id'] for e in found)}")
    raise ClientError(f"there is none called {name!r}; `headrace {_command(objects)} list` names those there are")


def _command(objects: Resource[Any]) -> str:
    """The command that is about such objects: `consumers` for /v1/http-consumers."""
    return objects.name if objects.name == "oauth-apps" else objects.name.rpartition("-")[2]


def credential_id(client: Client, name: str) -> str:
    return id_of(client.credentials, name, filtered=False)


def oauth_app_id(client: Client, name: str) -> str:
    return id_of(client.oauth_apps, name, filtered=False)


def stream_id(client: Client, name: str) -> str:
    return id_of(client.streams, name, "slug")
