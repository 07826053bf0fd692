"""What the kit refuses at declaration, and how plain credentials go into a request."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
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
    Discovery,
    Feed,
    Found,
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


def test_an_account_has_its_own_collections_beside_and_in_place_of_the_fixed_ones() -> None:
    def made(key: str, found: Found) -> Collection:
        return Collection(key, found.name, listing=Listing(page))

    def feeds(wanted: Mapping[str, Found]) -> tuple[Feed, ...]:
        return tuple(Feed(f"of {key}", frozenset({key}), page) for key in wanted)

    discovery = Discovery(page=lambda ctx, cursor: iter(()), collection=made, feeds=feeds)  # type: ignore[arg-type]
    fixed = provider(Collection("x:a", "A", listing=Listing(page)), Collection("x:b", "B", listing=Listing(page)))
    found = {key: Found("", key, key.upper(), {}, {}, key) for key in ("x:b", "x:own")}
    account = replace(fixed, discovery=discovery, _by_id={}).of_account(found)
    assert {each.id: each.name for each in account.collections} == {"x:a": "A", "x:b": "X:B", "x:own": "X:OWN"}
    assert [feed.name for feed in account.feeds_of("x:own")] == ["of x:own"]
    assert fixed.of_account(found) is fixed
    with pytest.raises(ImplementationError, match="calls itself"):
        replace(
            fixed, discovery=replace(discovery, collection=lambda key, found: made("x:z", found)), _by_id={}
        ).of_account(found)


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
