"""The Python client, blocking and for asyncio. It knows the HTTP API and nothing of Headrace's inside.

from headrace.client import Client

with Client("http://127.0.0.1:7370", token) as headrace:
    for sync in headrace.syncs.list(provider="stripe"):
        print(sync["name"], sync["health"]["status"])
"""

from headrace.client.blocking import Client
from headrace.client.calls import RetryPolicy
from headrace.client.consuming import AsyncConsumption, AsyncMessage, Consumption, Message
from headrace.client.errors import (
    ApiError,
    ClientError,
    ConnectionFailed,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unfinished,
)
from headrace.client.nonblocking import AsyncClient
from headrace.client.objects import (
    ApiToken,
    Batch,
    Collection,
    Consumer,
    Credential,
    Deleted,
    Delivery,
    Event,
    EventPage,
    Health,
    OAuthApp,
    Org,
    Page,
    Plan,
    Provider,
    RateLimit,
    Record,
    RecordPage,
    Stream,
    Sync,
)

__all__ = [
    "ApiError",
    "ApiToken",
    "AsyncClient",
    "AsyncConsumption",
    "AsyncMessage",
    "Batch",
    "Client",
    "ClientError",
    "Collection",
    "ConnectionFailed",
    "Consumer",
    "Consumption",
    "Credential",
    "Deleted",
    "Delivery",
    "Event",
    "EventPage",
    "Health",
    "Invalid",
    "Message",
    "NotFound",
    "OAuthApp",
    "Org",
    "Page",
    "Plan",
    "Provider",
    "RateLimit",
    "Record",
    "RecordPage",
    "RetryPolicy",
    "Stream",
    "Sync",
    "TooManyRequests",
    "Unauthorized",
    "Unfinished",
]
