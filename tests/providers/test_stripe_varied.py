"""Whatever of Stripe's documented manners an answer has or lacks, the same records are read of it; and what is refused
is told, and deletes nothing. The variations are those of servers that stand in for Stripe (localstripe, stripe-mock,
stripe-stateful-mock) and of older versions of its API."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from varied import Varied, Vary, as_it_is, bodies, no_headers, rows, without

from headrace.clock import from_unix
from headrace.http import Request, Response
from headrace.providers.kit import Account, Delete, Faulted, Refused, Window
from headrace.providers.kit.checks import drive
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import KEY
from headrace.testing.stripe import StripeServer

COLLECTIONS = (
    "stripe:charge",
    "stripe:customer",
    "stripe:invoice",
    "stripe:invoice_line_item",
    "stripe:payment_method",
    "stripe:price",
    "stripe:subscription",
    "stripe:subscription_item",
    "stripe:tax_id",
)
UNTIL = 1_790_000_000


def at(vary: Vary = as_it_is) -> Varied:
    server = StripeServer(90, seed=7, until=UNTIL)
    return Varied(STRIPE, server, {"secret": "sk_test_headrace"}, "stripe_key", vary)


def short_pages(request: Request, response: Response) -> Response:
    """Ten rows and no more, however many were asked for: `limit` has a ceiling of the server's own."""
    told = orjson.loads(response.body)
    if response.status >= 300 or not isinstance(told.get("data"), list) or len(told["data"]) <= 10:
        return response
    return replace(response, body=orjson.dumps({**told, "data": told["data"][:10], "has_more": True}))


def with_stubs(request: Request, response: Response) -> Response:
    """What was deleted stands as a stub among the others."""
    told = orjson.loads(response.body)
    if response.status >= 300 or told.get("object") != "list" or not told["data"]:
        return response
    stubs = [{"id": f"{told['data'][0]['id']}_gone", "object": told["data"][0]["object"], "deleted": True}]
    return replace(response, body=orjson.dumps({**told, "data": [*stubs, *told["data"]]}))


def bare_list(body: dict[str, object]) -> dict[str, object]:
    return {name: body[name] for name in ("data", "has_more")} if body.get("object") == "list" else body


def spaced(request: Request, response: Response) -> Response:
    return replace(response, body=b"\n" + orjson.dumps(orjson.loads(response.body), option=orjson.OPT_INDENT_2) + b"\n")


VARIATIONS = {
    "no headers": no_headers,
    "pages of ten": short_pages,
    "stubs of deleted objects in lists": with_stubs,
    "lists without object and url": bodies(bare_list),
    "indented": spaced,
}


@pytest.fixture(scope="module")
def told() -> dict[tuple[str, str], object]:
    return at().read(*COLLECTIONS)


@pytest.mark.parametrize("name", VARIATIONS)
def test_any_documented_variation_gives_the_same_records(name: str, told: object) -> None:
    assert at(VARIATIONS[name]).read(*COLLECTIONS) == told


@pytest.mark.parametrize("name", VARIATIONS)
def test_and_so_it_does_in_windows_of_time(name: str) -> None:
    window = Window(from_unix(UNTIL) - timedelta(days=500), from_unix(UNTIL) - timedelta(days=100))
    windowed = ("stripe:charge", "stripe:customer", "stripe:invoice", "stripe:price")
    told = at().read(*windowed, window=window)
    assert 0 < len(told) < len(at().read(*windowed))
    assert at(VARIATIONS[name]).read(*windowed, window=window) == told


def test_objects_without_a_time_of_birth_are_read(told: dict[tuple[str, str], object]) -> None:
    found = at(rows("data", without("created"))).read(*COLLECTIONS)
    assert found.keys() == told.keys()


def unrecognized(path: str) -> Response:
    message = f"Unrecognized request URL (GET: {path}). Please see https://stripe.com/docs"
    return error(404, {"type": "invalid_request_error", "message": message})


def error(status: int, said: dict[str, str]) -> Response:
    return Response(status, orjson.dumps({"error": said}), from_unix(UNTIL), {"content-type": "application/json"})


UNKNOWN_KEY = error(401, {"type": "invalid_request_error", "message": "Invalid API Key provided"})
REFUSALS: dict[str, tuple[Callable[[str], Response], str]] = {
    "an address that is not known": (lambda path: unrecognized(path), "config"),
    "in plain text": (lambda path: Response(404, b"404: Not Found", from_unix(UNTIL)), "config"),
    "not implemented": (lambda path: error(501, {"message": "not implemented"}), "config"),
    "a restricted key": (lambda path: error(403, {"message": "does not have the required permissions"}), "permission"),
    "not enabled": (lambda path: error(400, {"message": "Your account is not set up to use Issuing"}), "permission"),
    "a bad request": (lambda path: error(400, {"message": "Received unknown parameter"}), "bad"),
}


@pytest.mark.parametrize("collection", [each.id for each in STRIPE.collections if not each.embedded])
@pytest.mark.parametrize("how", REFUSALS)
def test_a_refused_list_is_told_and_deletes_nothing(collection: str, how: str) -> None:
    answer, kind = REFUSALS[how]
    with pytest.raises(Faulted) as raised:
        at(lambda request, response: answer(request.url)).items(collection)
    assert raised.value.fault.kind == kind


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refused_list_of_a_parent_says_nothing_of_the_parent(how: str) -> None:
    """Neither that its children are gone, nor that it is itself."""
    answer, kind = REFUSALS[how]

    def below(request: Request, response: Response) -> Response:
        if request.url.endswith(("/lines", "/payment_methods")):
            return answer(request.url)
        told = orjson.loads(response.body)
        if told.get("object") == "invoice":
            told["lines"]["has_more"] = True
        return replace(response, body=orjson.dumps(told))

    _, invoice = next(iter(at().read("stripe:invoice")))
    with pytest.raises(Faulted) as raised:
        at(below).fetched("stripe:invoice", invoice)
    assert raised.value.fault.kind == kind
    with pytest.raises(Faulted) as raised:
        at(below).items("stripe:payment_method")
    assert raised.value.fault.kind == kind


@pytest.mark.parametrize("how", ["an address that is not known", "in plain text", "not implemented"])
def test_without_an_address_for_the_account_the_key_is_tried_on_a_list(how: str) -> None:
    answer, _ = REFUSALS[how]
    varied = at(lambda request, response: answer(request.url) if request.url == "/v1/account" else response)
    account, asked = drive(KEY.verify(varied.properties, from_unix(UNTIL)), varied.respond)  # type: ignore[arg-type]
    assert account == Account("", {"test": True}, "test", narrow=True)  # type: ignore[comparison-overlap]
    assert [request.url for request in asked] == ["/v1/account", "/v1/customers"]

    refused = at(lambda request, response: answer(request.url) if request.url == "/v1/account" else UNKNOWN_KEY)
    with pytest.raises(Refused, match="Invalid API Key"):
        drive(KEY.verify(refused.properties, from_unix(UNTIL)), refused.respond)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ({"type": "invalid_request_error", "code": "resource_missing", "message": "No such customer: 'cus_0'"}, True),
        ({"type": "invalid_request_error", "message": "No such customer: cus_0", "param": "id"}, True),
        ({"type": "invalid_request_error", "message": "Not Found"}, True),
        ({"type": "invalid_request_error", "message": "Unrecognized request URL (GET: /v1/x)."}, False),
        ({"message": "Not Found"}, False),
        ({"type": "invalid_request_error", "code": "account_invalid", "message": "No such account"}, False),
    ],
)
def test_what_is_gone_is_told_by_an_answer_that_understood_the_address(said: dict[str, str], gone: bool) -> None:
    varied = at(lambda request, response: error(404, said))
    if gone:
        (first, *_) = varied.fetched("stripe:customer", "cus_0")
        assert isinstance(first, Delete)
    else:
        with pytest.raises(Faulted):
            varied.fetched("stripe:customer", "cus_0")


CRASH = Response(500, b"500 Internal Server Error", from_unix(UNTIL), {"content-type": "text/plain"})
WINDOW = Window(from_unix(UNTIL) - timedelta(days=500), None)


def test_a_server_that_breaks_down_over_a_window_is_asked_for_everything() -> None:
    def crash(request: Request, response: Response) -> Response:
        return CRASH if any(name.startswith("created") for name, _ in request.query) else response

    with pytest.raises(Faulted) as raised:
        at(crash).items("stripe:charge", WINDOW)
    assert raised.value.fault.kind == "bad", "the engine leaves the window out then"


@pytest.mark.parametrize("answer", [CRASH, error(500, {"type": "api_error", "message": "An error occurred"})])
def test_a_server_that_breaks_down_once_is_asked_again(answer: Response) -> None:
    left: list[Response] = []
    varied = at(lambda request, response: left.pop() if left else response)
    collection = STRIPE.collection("stripe:charge")
    assert collection is not None
    assert collection.listing is not None
    read = []
    for left[:] in ([], [answer]):
        page, _ = drive(collection.listing.page(varied.context("stripe:charge"), WINDOW, None), varied.respond)
        read.append([(type(item), getattr(item, "id", None)) for item in page.items])
    assert read[0] == read[1] != []
