"""Conversations: inboxes, channels, threads and their messages.

Sources: https://developers.hubspot.com/docs/api-reference (conversations v3, in beta: threads, sorted by their latest
message where `latestMessageTimestampAfter` is given; messages of a thread).
"""

from datetime import timedelta

from headrace.providers.kit import (
    ChangedSince,
    Children,
    ChildSet,
    Collection,
    Context,
    Cursor,
    Delete,
    Fetch,
    Item,
    Listing,
    Page,
    Paged,
    Record,
    Request,
    Rows,
    Steps,
    Window,
    nested,
    pages,
)
from headrace.providers.kit.pagers import Token
from headrace.providers.kit.rows import Raw, Reader

PATH = "/conversations/v3/conversations"
THREAD, MESSAGE = "hubspot:conversation_thread", "hubspot:conversation_message"
_AFTER = Token("after", "paging.next.after", size=("limit", 100))
_thread = Reader(THREAD, created="createdAt", updated="latestMessageTimestamp")
_message = Reader(MESSAGE, created="createdAt", updated="updatedAt", parent="conversationsThreadId")
_THREADS = Paged(Request(f"{PATH}/threads"), _AFTER, "results")


def _threads_of(ctx: Context, read: Rows) -> list[Item]:
    return [_thread(row, read.as_of) for row in read.rows]


def _since(ctx: Context, window: Window) -> Request:
    """Threads with a message since. The bound is exclusive, and there is no upper one: younger ones come along."""
    if window.lo is None:
        return Request(f"{PATH}/threads")
    after = (window.lo - timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    query = (("sort", "latestMessageTimestamp"), ("latestMessageTimestampAfter", after))
    return Request(f"{PATH}/threads", query=query)


def _messages(thread: str) -> Paged:
    return Paged(Request(f"{PATH}/threads/{thread}/messages", accept=(404,)), _AFTER, "results")


def _messages_of(ctx: Context, thread: str, read: Rows) -> list[Item]:
    return [_message(row, read.as_of) for row in read.rows]


def _again(ctx: Context, thread: Record, cursor: Cursor | None) -> Steps:
    read = yield from _messages(thread.id).read_all(ctx)
    found = [_message(row, read.as_of) for row in read.rows]
    return Page([*found, ChildSet(MESSAGE, thread.id, frozenset(each.id for each in found), read.as_of)])


def _one(ctx: Context, key: str, parent: str | None) -> Steps:
    response = yield Request(f"{PATH}/threads/{key}", accept=(404,))
    if response.status == 404:
        return Page([Delete(THREAD, key, response.sent_at)])
    return Page([_thread(Raw(response.body), response.sent_at)])


CONVERSATIONS = (
    Collection(
        id=THREAD,
        name="conversation thread",
        listing=Listing(pages(_THREADS, _threads_of), order="by_id"),
        changes=(ChangedSince(pages(Paged(_since, _AFTER, "results"), _threads_of), ordered=True),),
        fetch=Fetch(_one),
        sweep_every=timedelta(hours=6),
    ),
    Collection(
        id=MESSAGE,
        name="conversation message",
        listing=Listing(nested(_THREADS, _thread.id_of, _messages, _messages_of), order="by_id"),
        children=Children(THREAD, _again),
        deletes="parent",
        sweep_every=timedelta(days=1),
    ),
)
