"""Which limits count a request."""

from dataclasses import replace

import pytest
from paced import access, provider
from test_pace import THINGS

from headrace.control.syncs import RateLimit
from headrace.engine.access import Access
from headrace.engine.limits import SyncLimit, counted, override_of
from headrace.http import Request
from headrace.ids import uuid7
from headrace.providers.kit import Limit
from headrace.settings import Settings


def test_the_override_takes_the_place_of_published_limits_for_development_addresses_only() -> None:
    of = provider(Limit(50, 1.0), per_endpoint=Limit(20, 1.0))
    request = Request("/things", limit_class="/things")
    none, number = (override_of(Settings(limits_override=text)) for text in ("none", "1000"))
    own = SyncLimit(uuid7(), RateLimit(7, 1))
    real, development = access(of), access(of, "http://127.0.0.1:1")

    def limits(who: Access, override: tuple[Limit, ...] | None, limit: SyncLimit | None = None) -> list[float]:
        return sorted(allowed for allowed, _ in counted(who, limit, request, override).published.values())

    assert limits(real, None) == limits(development, None) == limits(real, none) == [20, 50]
    assert limits(development, none) == []
    assert limits(development, number) == [1000]
    assert limits(development, none, own) == [7], "what was set for a sync holds always"
    assert limits(development, none, SyncLimit(uuid7(), None)) == []
    assert limits(development, None, SyncLimit(uuid7(), None)) == [20, 50, 1_000_000]


def test_a_limit_of_its_own_stands_for_the_one_of_every_endpoint() -> None:
    of = provider(Limit(50, 1.0), Limit(4, 1.0, "search"), per_endpoint=Limit(20, 1.0))
    charges = counted(access(of), None, Request("/s", limit_class="search", cost=3.0), None)
    assert {(charge.bucket.limit_class, charge.cost) for charge in charges.charges} == {("all", 1.0), ("search", 3.0)}
    assert sorted(charges.published.values()) == [(4, 1.0), (50, 1.0)]


def test_limits_of_the_other_mode_do_not_count() -> None:
    of = provider(Limit(50, 1.0, mode="live"), Limit(20, 1.0, mode="test"))
    test = replace(access(of), mode="test")
    assert list(counted(access(of), None, THINGS, None).published.values()) == [(50, 1.0)]
    assert list(counted(test, None, THINGS, None).published.values()) == [(20, 1.0)]


@pytest.mark.parametrize("text", ["fast", "-1", "0", "inf", "nan", ""])
def test_an_override_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="'none' or a number of requests"):
        override_of(Settings(limits_override=text))
