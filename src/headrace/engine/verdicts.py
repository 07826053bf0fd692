"""What an exchange with a provider came to: a response for the connector, or a fault.

The connector's `fault` classifies answers; here stands what holds for every provider: broken connections, answers that
are no JSON where JSON was asked for, and the words in which they are told.
"""

import asyncio
import re

import aiohttp
import msgspec
import structlog

from headrace.egress import EgressRefused, refusal
from headrace.engine.wire import MOST_BYTES, AnswerTooLarge
from headrace.http import Request, Response
from headrace.providers.kit import Fault, Provider

log = structlog.get_logger(__name__)

LONGEST_MESSAGE = 500
_OTHER_FORMATS = ("csv", "xml", "octet-stream", "ndjson", "jsonl", "zip", "gzip")
_NO_BODY = (204, 205, 304)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


TOO_DEEP = Fault("config", "an answer is nested deeper than can be read, which is about a thousand levels")
HALF_PAIR = Fault("transient", "an answer is not whole: it is no valid JSON")
"""Of JSON that the parsers refuse, perhaps for half of a surrogate pair in it."""
ILLEGIBLE = (TOO_DEEP, HALF_PAIR)
"""The answer is made legible then (`unfit.legible`); these are the faults of one that cannot be read even so."""


def verdict(provider: Provider, request: Request, response: Response) -> Fault | None:
    """The fault of an answer; None: it goes to the connector. A status named in `accept` always does, when its body
    can be read (or whatever its body is, with `any_body`); HTML, an empty body or broken JSON with a good status is
    transient, whatever the status says."""
    wanted = response.status in request.accept
    try:
        legible = wanted and request.any_body
        if (wanted or response.status < 300) and not legible and not _readable(request, response):
            return HALF_PAIR if _HALF.search(response.body) else Fault("transient", _unreadable(response))
    except RecursionError:
        return TOO_DEEP
    if wanted:
        return None
    try:
        fault = provider.fault(response)
    except Exception as error:
        # A connector that trips over a body that it did not expect (an HTML page with a 502) must not stop the sync.
        log.debug("fault_unclassified", provider=provider.slug, status=response.status, error=type(error).__name__)
        return _by_status(response)
    if fault is None and response.status >= 300:
        return _by_status(response)
    return fault


def broken(error: BaseException) -> Fault:
    """The fault of an exchange that brought no answer."""
    if isinstance(error, AnswerTooLarge):
        return Fault(
            "split",
            f"an answer has more than {MOST_BYTES // 2**20} MiB, which is the most that is read, and no smaller page "
            "can be asked for",
        )
    refused = refusal(error)
    if refused is not None:
        return Fault("config", str(refused))
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return Fault(
            "config", "the request cannot be sent: a part of the credential or of the URL has a wrong character"
        )
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return Fault("transient", "the provider did not answer in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Fault("transient", f"no connection to {error.host} could be made")
    return Fault("transient", f"the connection broke before the answer was complete ({type(error).__name__})")


def never_sent(error: BaseException) -> bool:
    """Whether nothing of the request can have reached the provider."""
    return isinstance(error, (aiohttp.ClientConnectorError, EgressRefused))


def _readable(request: Request, response: Response) -> bool:
    if response.status in _NO_BODY or request.method == "HEAD":
        return True
    if not response.body:
        return request.method != "GET"
    content_type = response.headers.get("content-type", "").lower()
    if "html" in content_type:
        return False
    if any(name in content_type for name in _OTHER_FORMATS):
        return True
    try:
        msgspec.json.decode(response.body, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _unreadable(response: Response) -> str:
    if not response.body:
        return f"the answer with status {response.status} is empty"
    if "html" in response.headers.get("content-type", "").lower() or response.body.lstrip()[:1] == b"<":
        return f"a web page came with status {response.status} where data was asked for"
    return f"the answer with status {response.status} is not whole: it is no valid JSON"


def _by_status(response: Response) -> Fault:
    status = response.status
    message = f"the provider answered with status {status}"
    if status == 401:
        return Fault("auth", message)
    if status in (402, 403):
        return Fault("permission", message)
    if status in (404, 410):
        return Fault("gone", message)
    if status == 429:
        return Fault("rate", message)
    if status >= 500 or status in (408, 425):
        return Fault("transient", message)
    return Fault("bad", message)
