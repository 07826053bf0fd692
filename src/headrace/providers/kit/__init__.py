"""The vocabulary in which connectors are written. A connector is data plus small generator functions; no I/O."""

from headrace.http import Query, Request, Response
from headrace.providers.kit.limits import Limit, LimitPolicy, Remaining, TooMany, retry_after_s
from headrace.providers.kit.provider import Collection, Discovery, Fault, FaultClass, Provider
from headrace.providers.kit.readings import (
    EVERYTHING,
    ChangedSince,
    Children,
    Context,
    Cursor,
    Deleted,
    Feed,
    Fetch,
    Hook,
    Listing,
    NotGenuine,
    Page,
    PageFunction,
    Partitions,
    Steps,
    Window,
    Write,
)
from headrace.stream.items import Canon, ChildSet, Delete, Item, Mention, Record
from headrace.vault.kinds import Account, CredentialKind, Properties, Refused

__all__ = sorted(name for name in globals() if not name.startswith("_") and name[0].isupper()) + ["retry_after_s"]
