"""Objects are computed, not kept: ids lead back to ordinals, families hang together, the same seed makes the same."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.testing.stripe import StripeServer
from headrace.testing.stripe.catalog import RESOURCES
from headrace.testing.stripe.ids import IdCodec
from headrace.testing.stripe.resources import Pattern
from headrace.testing.stripe.store import View

UNTIL = 1_790_000_000


@given(st.text("ab_", max_size=9), st.text("z9", max_size=15), st.integers(0, 2**31), st.integers(0, 2**48 - 1))
def test_an_id_leads_back_to_its_ordinal(prefix: str, tail: str, seed: int, ordinal: int) -> None:
    codec = IdCodec(prefix, tail, seed)
    for bound in (0, 1 << 32):
        codec.odd_bound = bound
        text = codec.encode(ordinal)
        assert codec.decode(text) == ordinal
        assert orjson.loads(b'"' + codec.raw(ordinal) + b'"') == text
        assert codec.decode(text + "x") is None
        assert codec.decode(text[1:]) is None


@given(st.integers(0, 2**31), st.sets(st.integers(0, 10**7), min_size=2))
def test_ids_differ(seed: int, ordinals: set[int]) -> None:
    codec = IdCodec("x_", "", seed)
    assert len({codec.encode(ordinal) for ordinal in ordinals}) == len(ordinals)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9).filter(sum), st.integers(0, 500))
def test_children_lie_consecutively_under_their_parents(counts: list[int], parent: int) -> None:
    pattern = Pattern(tuple(counts))
    mine = pattern.children(parent)
    assert len(mine) == counts[parent % len(counts)]
    assert mine.stop == pattern.children(parent + 1).start
    assert all(pattern.parent(child) == parent for child in mine)


@given(st.integers(0, 30), st.integers(1, 5), st.integers(0, 200), st.sets(st.integers(200, 300)), st.integers(-5, 310))
def test_a_view_goes_down_and_up_from_any_place(start: int, step: int, stop: int, added: set[int], bound: int) -> None:
    held = [*range(start, stop, step), *sorted(added)]
    view = View(range(start, stop, step), sorted(added))
    assert list(view.below(bound)) == [each for each in reversed(held) if each < bound]
    assert list(view.above(bound)) == [each for each in held if each > bound]


@pytest.mark.parametrize("name", RESOURCES)
def test_times_of_birth_never_fall_and_windows_are_found(name: str) -> None:
    account = StripeServer(20_000, until=UNTIL, span_days=2).account
    born = [account.created(name, ordinal) for ordinal in range(account.store(name).end)]
    assert born == sorted(born)
    assert all(moment <= UNTIL for moment in born)
    for moment in (born[0], born[len(born) // 2], born[-1], born[-1] + 1) if born else ():
        assert account.first_since(name, moment) == sum(each < moment for each in born)


def test_the_same_seed_makes_the_same_account_and_another_another() -> None:
    def shown(seed: int) -> list[bytes]:
        account = StripeServer(500, seed=seed, until=UNTIL).account
        return [raw for name in account.collections for raw in account.objects(name)]

    assert shown(7) == shown(7)
    assert not set(shown(7)) & set(shown(8))


def test_references_lead_to_objects_that_are_there() -> None:
    account = StripeServer(3_000, until=UNTIL).account
    for charge in map(orjson.loads, account.objects("charges")):
        assert account.get("customers", charge["customer"])["object"] == "customer"
        assert account.get("payment_intents", charge["payment_intent"])
    for line in map(orjson.loads, account.objects("invoice_lines")):
        assert account.get("invoices", line["invoice"])["id"] == line["invoice"]


def test_counts_by_collection_are_exact_and_children_can_be_chosen() -> None:
    account = StripeServer({"invoices": 4, "customers": 2}, children={"invoice_lines": (1, 25)}, until=UNTIL).account
    assert account.count("invoices") == 4
    assert account.count("invoice_lines") == 52
    with pytest.raises(ValueError, match="invoice_lines"):
        StripeServer({"invoice_lines": 3})
    with pytest.raises(ValueError, match="charges"):
        StripeServer(10, children={"charges": (1,)})


def test_ten_million_objects_take_no_more_memory_than_ten() -> None:
    import tracemalloc

    def cost(records: int) -> int:
        tracemalloc.start()
        account = StripeServer(records, until=UNTIL).account
        for name in account.collections:
            end = account.store(name).end
            for ordinal in {0, end // 2, end - 1}:
                account.raw(name, ordinal)
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return used

    cost(10)
    few = cost(100_000)
    assert cost(10_000_000) < few * 1.2
