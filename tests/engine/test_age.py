"""What the age of a record is counted from."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.intake import too_old
from headrace.providers.kit import Record

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS, st.booleans())
def test_a_record_with_neither_time_is_never_too_old(as_of: datetime, cutoff: datetime, changing: bool) -> None:
    assert not too_old(Record("shop:tag", "t", b"{}", as_of), cutoff, changing=changing)


@given(MOMENTS, MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_age_is_counted_from_the_later_of_created_and_updated(
    as_of: datetime, created: datetime, updated: datetime | None, cutoff: datetime
) -> None:
    record = Record("shop:tag", "t", b"{}", as_of, created=created, updated=updated)

    assert too_old(record, cutoff, changing=False) == (created < cutoff and (updated is None or updated < cutoff))
    if as_of >= cutoff:
        assert not too_old(record, cutoff, changing=True)
