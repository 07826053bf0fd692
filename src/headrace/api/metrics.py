"""The API's figures for Prometheus. docs/metrics.md describes every one; a test holds the two together."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "headrace_http_requests",
    "Requests answered, by route template, method and status.",
    ["route", "method", "status"],
)
SECONDS = Histogram(
    "headrace_http_request_seconds",
    "Time from a request's first byte to its answer's last, but for the waiting of `next`.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
UNDER_WAY = Gauge("headrace_http_requests_under_way", "Requests being answered now, waiting ones included.")
DELIVERED = Counter("headrace_messages_delivered", "Messages handed out by `next`.")
SETTLED = Counter("headrace_messages_settled", "Tokens of calls, each once in a call.", ["action"])
WEBHOOKS = Counter("headrace_webhooks", "Webhooks that came in, by what was made of them.", ["outcome"])
