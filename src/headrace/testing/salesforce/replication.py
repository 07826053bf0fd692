"""The logs of changes: getDeleted and getUpdated.

Source: https://developer.salesforce.com/docs/atlas.en-us.api.meta/api (getDeleted, getUpdated: whole minutes, more
than one apart, fifteen and thirty days back, cut when the log grows too long).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from headrace.testing.exchange import Reply
from headrace.testing.faults import Faults
from headrace.testing.salesforce import soql
from headrace.testing.salesforce.answers import Refusal
from headrace.testing.salesforce.org import Table

DAY_S = 86_400.0


class Replication:
    """Answers from the logs of an org's tables. `now` gives Unix seconds by the provider's clock."""

    def __init__(self, now: Callable[[], float], faults: Faults) -> None:
        self._now = now
        self._faults = faults

    def _span(self, asked: Mapping[str, str], days: int) -> tuple[float, float]:
        """Start and end, to the minute; more than one minute apart, and not too long ago."""
        try:
            start, end = (datetime.fromisoformat(asked[name].replace(" ", "+")) for name in ("start", "end"))
        except (KeyError, ValueError):
            raise Refusal("INVALID_REPLICATION_DATE", "startDate and endDate must be date times") from None
        low, high = (each.timestamp() // 60 * 60 for each in (start, end))
        if high - low < 60:
            raise Refusal("INVALID_REPLICATION_DATE", "endDate must be at least one minute greater than startDate")
        if start < datetime.fromtimestamp(self._now(), UTC) - timedelta(days=days):
            raise Refusal("INVALID_REPLICATION_DATE", f"startDate before {days} days ago")
        return low, high

    def deleted(self, table: Table, asked: Mapping[str, str]) -> Reply:
        if not table.type.replicateable:
            raise Refusal("INVALID_TYPE_FOR_OPERATION", f"{table.type.name} is not replicateable")
        low, high = self._span(asked, 15)
        now = self._now()
        kept = max((now - fault.option("kept_s", 60.0) for fault in self._faults.standing("purged_log")), default=0.0)
        earliest = max(kept, now - 15 * DAY_S)
        records = [{"id": key, "deletedDate": _written(when)} for when, key in table.deletions if low <= when < high]
        return Reply.json(
            {
                "deletedRecords": [each for each in records if not kept or each["deletedDate"] >= _written(kept)],
                "earliestDateAvailable": _written(earliest),
                "latestDateCovered": _written(min(high, now // 60 * 60)),
            }
        )

    def updated(self, table: Table, asked: Mapping[str, str]) -> Reply:
        low, high = (_written(each) for each in self._span(asked, 30))
        ids = [key for stamp, key in table.index if low <= stamp < high and not table.rows[key].get("IsDeleted")]
        return Reply.json({"ids": ids, "latestDateCovered": high})


def _written(seconds: float) -> str:
    return soql.moment(datetime.fromtimestamp(seconds, UTC))
