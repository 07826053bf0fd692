"""What the kit refuses at declaration, and how plain credentials go into a request."""

import re
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import headrace.providers.kit as kit
from headrace.errors import ImplementationError
from headrace.http import Request, Response
from headrace.providers import SLUGS, installed
from headrace.providers.kit import (
    Children,
    Collection,
    Feed,
    LimitPolicy,
    Listing,
    Page,
    Provider,
    Steps,
    retry_after_s,
)
from headrace.providers.kit.auth import basic, bearer, header

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def page(ctx: Any, window: Any, cursor: Any) -> Steps:
    yield Request("/things")
    return Page()


def again(ctx: Any, parent: Any, cursor: Any) -> Steps:
    yield Request("/things")
    return Page()


LISTING = Listing(page)


def provider(*collections: Collection, **more: Any) -> Provider:
    return Provider(
        slug="x",
        name="X",
        base_url=lambda properties: "https://x.example",
        hosts=("x.example",),
        kinds=(),
        limits=LimitPolicy(()),
        collections=collections,
        fault=lambda response: None,
        **more,
    )


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Collection("x:a", "a"),
        lambda: Collection("x:a", "a", listing=LISTING, children=Children("x:b")),
        lambda: Collection("x:a", "a", children=Children("x:b", again)),
        lambda: provider(Collection("y:a", "a", listing=LISTING)),
        lambda: provider(Collection("x:a", "a", listing=LISTING), Collection("x:a", "a", listing=LISTING)),
        lambda: provider(Collection("x:a", "a", children=Children("x:nowhere"))),
        lambda: provider(feeds=(Feed("log", frozenset({"x:nowhere"}), page),)),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(declare: Any) -> None:
    with pytest.raises(ImplementationError, match="Implementation error"):
        declare()


def test_reads_go_up_through_all_parents() -> None:
    made = provider(
        Collection("x:a", "a", listing=LISTING),
        Collection("x:b", "b", listing=LISTING, children=Children("x:a", again)),
        Collection("x:c", "c", children=Children("x:b")),
    )
    assert made.reads(["x:c"]) == {"x:a", "x:b", "x:c"}
    assert made.reads(["x:a"]) == {"x:a"}
    assert [each.id for each in made.embedded_in("x:b")] == ["x:c"]
    assert made.embedded_in("x:a") == ()


def test_plain_credentials_go_into_a_header() -> None:
    request = Request("/things", headers={"Accept": "application/json"})
    secrets = {"key": "k", "user": "ü", "password": "a:b"}
    signed = {
        "Bearer k": bearer("key"),
        f"Basic {b64encode('ü:a:b'.encode()).decode()}": basic("user", "password"),
        "lin k": header("Authorization", "key", "lin "),
    }
    for value, sign in signed.items():
        assert sign(request, secrets, NOW).headers == {"Accept": "application/json", "Authorization": value}
    assert header("X-Token", "key")(request, secrets, NOW).headers["X-Token"] == "k"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0", 0.0), ("-5", 0.0), ("Mon, 23 Nov 2026 00:00:30 GMT", 30.0), ("soon", None), (None, None)],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    headers = {} if value is None else {"retry-after": value}
    assert retry_after_s(Response(429, b"", NOW, headers)) == seconds


def test_the_kit_shows_what_it_says() -> None:
    assert sorted(kit.__all__, key=str.lower) == sorted(set(kit.__all__), key=str.lower)
    for name in kit.__all__:
        assert getattr(kit, name) is not None


def test_the_kit_knows_no_provider() -> None:
    names = re.compile("|".join(SLUGS), re.IGNORECASE)
    for file in Path(kit.__path__[0]).glob("*.py"):
        assert not names.search(file.read_text()), file


def test_connectors_are_found_by_their_entry_point() -> None:
    assert installed()["stripe"].name == "Stripe"
