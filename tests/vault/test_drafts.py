"""What a caller gives is refused with every reason, before anything is asked of a provider."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mill import KEY, KINDS, LOGIN

from headrace.errors import Invalid
from headrace.vault import drafts
from headrace.vault.drafts import Draft
from headrace.vault.masking import APP_STARS, STARS, looks_masked

CANARY = "hunter2-canary"


def read(given: Mapping[str, Any], *, provider: str | None = None, allow_base_url: bool = False) -> Draft:
    return drafts.read(KINDS, given, provider=provider, allow_base_url=allow_base_url)


def reasons(
    given: Mapping[str, Any], *, provider: str | None = None, allow_base_url: bool = False
) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as refused:
        read(given, provider=provider, allow_base_url=allow_base_url)
    return refused.value.errors


def test_a_good_draft_is_read_and_its_provider_follows_from_the_kind() -> None:
    draft = read({"kind": "mill_key", "secret": "mk_1", "name": "East"})
    assert (draft.provider, draft.kind) == ("mill", KEY)
    assert draft.properties == {"secret": "mk_1", "name": "East"}
    assert "mk_1" not in repr(draft)


def test_older_spellings_of_kind_and_properties_are_taken() -> None:
    draft = read({"kind": "mill", "secret_key": "mk_1"})
    assert draft.kind is KEY
    assert draft.properties == {"secret": "mk_1"}


def test_one_property_under_two_names_is_refused() -> None:
    assert list(reasons({"kind": "mill", "secret_key": "mk_1", "secret": "mk_2"})) == ["properties.secret_key"]


@pytest.mark.parametrize("kind", ["unheard", None, 7, [], ""])
def test_an_unknown_kind_is_told_which_ones_there_are(kind: object) -> None:
    [reason] = reasons({"kind": kind, "secret": "mk_1"})["properties.kind"]
    assert "mill_key, mill_login" in reason


def test_a_missing_kind_is_required() -> None:
    assert reasons({"secret": "mk_1"})["properties.kind"][0].startswith("is required")


def test_a_provider_that_does_not_fit_the_kind_is_refused() -> None:
    assert reasons({"kind": "mill_key", "secret": "mk_1"}, provider="forge") == {
        "provider": ["is mill for credentials of kind mill_key"]
    }


def test_every_broken_field_is_named_at_once_by_its_dotted_name() -> None:
    found = reasons(
        {"kind": "mill_key", "name": "x" * 21, "test": "yes", "wheels": [1, 0, "two"], "colour": 1, "spare": 2}
    )
    assert found == {
        "properties.secret": ["is required"],
        "properties.name": ["must have at most 20 characters"],
        "properties.test": ["must be true or false"],
        "properties.wheels.1": ["must be at least 1"],
        "properties.wheels.2": ["must be a whole number"],
        "properties.colour": ["is not known here; known are name, secret, spare, test, wheels"],
        "properties.spare": ["must be a string"],
    }


@pytest.mark.parametrize("stars", [STARS, APP_STARS, "*", "*" * 40])
def test_a_masked_secret_is_refused(stars: str) -> None:
    assert "is masked" in reasons({"kind": "mill_key", "secret": stars})["properties.secret"][0]
    assert "is masked" in reasons({"kind": "mill_key", "secret_key": stars})["properties.secret"][0]


def test_null_is_the_same_as_left_out() -> None:
    assert read({"kind": "mill_key", "secret": "mk_1", "spare": None}).properties == {"secret": "mk_1"}
    assert reasons({"kind": "mill_key", "secret": None}) == {"properties.secret": ["is required"]}


def test_properties_have_a_largest_size() -> None:
    assert list(reasons({"kind": "mill_key", "secret": "mk_" + "1" * 70_000})) == ["properties"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["kind", "secret", "secret_key", "spare", "name", "test", "wheels", "base_url"]) | st.text(
    max_size=6
)


@given(
    given_=st.dictionaries(
        names, json_values | st.just("mk_1") | st.just("mill_key") | st.just("http://x"), max_size=6
    ),
    allow=st.booleans(),
)
def test_any_json_is_read_or_refused_with_reasons_and_never_breaks(given_: dict[str, Any], allow: bool) -> None:
    try:
        draft = read(given_, allow_base_url=allow)
    except Invalid as refused:
        told = refused.errors
    else:
        told = {"properties": ["held"]}
        assert None not in draft.properties.values()
        assert not any(looks_masked(draft.properties.get(name)) for name in draft.kind.secret)
    assert told
    assert all(name.startswith("properties") and why for name, why in told.items())


@given(value=json_values)
def test_no_reason_repeats_what_was_given(value: Any) -> None:
    given_ = {"kind": "mill_key", "secret": CANARY, "spare": {CANARY: value}, "name": CANARY * 2, "test": CANARY}
    told = reasons(given_)
    assert CANARY not in "".join(reason for why in told.values() for reason in why)


def test_a_base_url_is_refused_unless_the_setting_allows_it() -> None:
    given_ = {"kind": "mill_key", "secret": "mk_1", "base_url": "http://127.0.0.1:9"}
    assert "HEADRACE_ALLOW_BASE_URL" in reasons(given_)["properties.base_url"][0]
    assert read(given_, allow_base_url=True).properties["base_url"] == "http://127.0.0.1:9"


@pytest.mark.parametrize("base_url", ["ftp://x", "nonsense", "http://", "http://user:pw@x", 7, "", {}])
def test_a_base_url_must_be_one(base_url: object) -> None:
    given_ = {"kind": "mill_key", "secret": "mk_1", "base_url": base_url}
    assert "properties.base_url" in reasons(given_, allow_base_url=True)


def test_a_kind_that_requires_a_base_url_of_its_own_needs_no_setting() -> None:
    draft = read({"kind": "mill_login", "user": "u", "password": "p", "base_url": "https://eu.mill.example"})
    assert drafts.at_base_url(LOGIN, draft.properties) is None
    assert drafts.origin(LOGIN, draft.properties) == ""


def test_revising_puts_the_given_over_the_held_and_null_takes_away() -> None:
    held = {"secret": "mk_1", "spare": "mk_2", "name": "East"}
    revised = drafts.revise(KINDS, KEY, held, {"secret_key": "mk_3", "spare": None}, allow_base_url=False)
    assert revised == {"secret": "mk_3", "name": "East"}


def test_revising_refuses_another_kind_a_masked_secret_and_what_would_not_hold() -> None:
    held = {"secret": "mk_1"}
    for change, field in (
        ({"kind": "mill_login"}, "properties.kind"),
        ({"secret": STARS}, "properties.secret"),
        ({"secret": None}, "properties.secret"),
        ({"colour": "red"}, "properties.colour"),
    ):
        with pytest.raises(Invalid) as refused:
            drafts.revise(KINDS, KEY, held, change, allow_base_url=False)
        assert list(refused.value.errors) == [field]
    assert drafts.revise(KINDS, KEY, held, {"kind": "mill"}, allow_base_url=False) == held
