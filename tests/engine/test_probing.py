"""What a failed reading waits before it is tried again: an error from a minute up to an hour, what passes by itself
from a second up to five minutes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from paced import access, provider

from headrace.engine.health import Health
from headrace.engine.transport import ReadFailed
from headrace.providers.kit import Fault, FaultClass

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ERRORS: list[FaultClass] = ["auth", "permission", "config", "bad", "gone"]
PASSING: list[FaultClass] = ["transient", "rate", "quota"]


def wait(health: Health, kind: FaultClass) -> timedelta:
    health.failed("changes", "orders", ReadFailed(Fault(kind, "no"), 6), NOW, access(provider()))
    retry_at = health.retry_at("changes", "orders")
    assert retry_at is not None
    return retry_at - NOW


def test_the_probes_of_an_error_begin_after_a_minute_and_grow_to_an_hour() -> None:
    health = Health()
    minutes = [wait(health, "auth") / timedelta(minutes=1) for _ in range(9)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert health.blocked_until() == NOW + timedelta(hours=1)


def test_one_reading_probes_for_all_that_wait_for_the_same() -> None:
    health = Health()
    for scope in ("orders", "tags", "notes"):
        health.failed("changes", scope, ReadFailed(Fault("auth", "no"), 1), NOW, access(provider()))
    assert health.blocked_until() == NOW + timedelta(minutes=1)
    health.failed("changes", "tags", ReadFailed(Fault("auth", "no"), 1), NOW, access(provider()))
    assert health.blocked_until() == NOW + timedelta(minutes=2)
    health.succeeded("changes", "tags")
    assert health.problems == {}


def test_an_error_after_ten_failures_that_pass_is_probed_after_a_minute() -> None:
    health = Health()
    seconds = [wait(health, "transient").total_seconds() for _ in range(10)]
    assert seconds == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert wait(health, "auth") == timedelta(minutes=1)
    assert health.problems["changes of orders"].failures == 11


@given(st.lists(st.sampled_from(ERRORS + PASSING), max_size=30))
def test_each_kind_of_failure_is_waited_out_by_its_own_count_until_a_success(kinds: list[FaultClass]) -> None:
    health = Health()
    for _ in range(2):
        errors = passing = 0
        for kind in kinds:
            waited = wait(health, kind)
            if kind in ERRORS:
                assert waited == min(timedelta(minutes=2**errors), timedelta(hours=1))
                errors += 1
            else:
                assert waited == min(timedelta(seconds=2**passing), timedelta(minutes=5))
                passing += 1
        health.succeeded("changes", "orders")
        assert health.retry_at("changes", "orders") is None
