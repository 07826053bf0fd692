"""What most providers' refusals have in common: a status that says what to do, and words somewhere in a JSON body."""

from typing import Any

import orjson

from headrace.http import Response
from headrace.providers.kit.faults import Fault


def body_of(response: Response) -> Any:
    """The JSON of an answer; None where it is none."""
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None


def words(response: Response, *places: str) -> str:
    """The first text found at one of these dotted places of the body (`errors.0.message`), else the status."""
    body = body_of(response)
    for place in places:
        found: Any = body
        for step in place.split(".") if place else ():
            if isinstance(found, dict):
                found = found.get(step)
            elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                found = None
        if isinstance(found, str) and found:
            return found
    return f"HTTP status {response.status}"


def by_status(response: Response, message: str) -> Fault | None:
    """The fault that the status alone tells; None for a success."""
    status = response.status
    if 200 <= status < 300:
        return None
    if status == 401:
        return Fault("auth", message)
    if status in (402, 403):
        return Fault("permission", message)
    if status in (404, 410):
        return Fault("gone", message)
    if status == 429:
        return Fault("rate", message)
    if status in (408, 409, 423, 425) or status >= 500:
        return Fault("transient", message)
    return Fault("bad" if status in (400, 422) else "config", message)
