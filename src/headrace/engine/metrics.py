"""The engine's figures for Prometheus. Names and meaning stand in docs/metrics.md; a test holds the two together.

No label carries the id of a sync, an account or an organisation: their number has no bound.
"""

from prometheus_client import Counter, Gauge, Histogram

from headrace.stream.items import Appended

REQUESTS = Counter(
    "headrace_requests", "Requests to providers, by outcome: ok, or the kind of fault.", ["provider", "outcome"]
)
REQUEST_SECONDS = Histogram(
    "headrace_request_seconds",
    "From sending a request to a provider to the last byte of its answer.",
    ["provider"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
REQUEST_BYTES = Counter("headrace_response_bytes", "Bytes of answers from providers, decompressed.", ["provider"])
RETRIES = Counter("headrace_retries", "Requests that were tried again, by the kind of fault.", ["provider", "fault"])
REFUSALS = Counter("headrace_refusals", "Answers of providers that there were too many requests.", ["provider"])
PERMIT_WAIT = Histogram(
    "headrace_permit_wait_seconds",
    "How long requests waited for their permit, by priority.",
    ["provider", "priority"],
    buckets=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
PERMITS_LAPSED = Counter("headrace_permits_lapsed", "Send slots that were granted and not used in time.", ["provider"])
TOKENS = Counter(
    "headrace_access_tokens",
    "Access tokens asked for, by outcome: made, refused, unanswered, dropped (another grant took the place meanwhile).",
    ["provider", "outcome"],
)
RECORDS_APPENDED = Counter(
    "headrace_records_appended", "Records appended to streams, by change: created, updated, deleted.",
    ["provider", "change"],
)  # fmt: skip
RECORDS_UNCHANGED = Counter("headrace_records_unchanged", "Records read that had not changed.", ["provider"])
SYNCS_HELD = Gauge("headrace_syncs_held", "Syncs that this process holds the lease of.")
SYNCS = Gauge("headrace_syncs", "Syncs that this process holds, by health.", ["health"])
READ_LAG = Gauge(
    "headrace_read_lag_seconds",
    "Of the active syncs that this process holds: the longest time since a read of changes was finished.",
    ["provider"],
)
LEASE_CHANGES = Counter(
    "headrace_lease_changes", "Leases by what became of them: gained, released, lost.", ["change"]
)  # fmt: skip
RUNNER_FAILURES = Counter("headrace_runner_failures", "Syncs whose run ended by an unexpected error.", ["provider"])
HEARTBEAT_AGE = Gauge("headrace_heartbeat_age_seconds", "Since this process's last heartbeat reached the database.")
LOOP_LAG = Gauge("headrace_event_loop_lag_seconds", "How late the event loop was, at most, in the last few seconds.")
EVENT_DAYS_DROPPED = Counter("headrace_event_days_dropped", "Days' partitions of events that were dropped.")
PURGED = Counter("headrace_rows_purged", "Rows of records that purges removed.")


def count_appended(provider: str, appended: Appended) -> None:
    """What an append did, into the figures."""
    RECORDS_APPENDED.labels(provider, "created").inc(appended.created)
    RECORDS_APPENDED.labels(provider, "updated").inc(appended.updated)
    RECORDS_APPENDED.labels(provider, "deleted").inc(appended.deleted)
    RECORDS_UNCHANGED.labels(provider).inc(appended.unchanged)
