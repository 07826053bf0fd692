"""What `headrace demo` runs: a provider's server, Headrace, a sync and a consumer, in one process."""

import asyncio
import contextlib
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from headrace.cli.demo_screen import Screen
from headrace.cli.process import settings_from
from headrace.client import AsyncClient, Sync
from headrace.ids import uuid7
from headrace.server import running
from headrace.testing.stripe import StripeServer
from headrace.testing.stripe.events import Event

KEY = "sk_test_demo"
SLUG = "demo"
COLLECTIONS = [
    f"stripe:{name}"
    for name in (
        *("customer", "product", "price", "coupon", "subscription", "invoice", "invoice_line_item", "charge"),
        *("payment_intent", "refund", "dispute", "balance_transaction", "payout", "checkout_session", "credit_note"),
    )
]
"""Those that are read a hundred at a time; the ones that hang under each customer would take minutes to arrive at the
pace that Stripe allows an account in test mode."""


async def show(
    screen: Screen,
    records: int,
    changes_per_s: float,
    data_dir: Path,
    port: int | None,
    seconds: float | None,
    changes: int | None,
) -> None:
    """Show all of it on the screen until a signal comes, the seconds are over, or so many changes were shown."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    showing = asyncio.create_task(_show(screen, records, changes_per_s, data_dir, port, changes))
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait({showing, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in (showing, ending):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await showing


async def _show(
    screen: Screen, records: int, changes_per_s: float, data_dir: Path, port: int | None, changes: int | None
) -> None:
    async with (
        _server(data_dir, port) as (url, token),
        _provider(screen, records, changes_per_s) as provider_url,
        AsyncClient(url, token) as api,
    ):
        screen.introduce(url, token, provider_url)
        stream = await api.streams.create(slug=SLUG)
        sync = await _sync(api, stream["id"], provider_url)
        consumer = await api.consumers.create(stream_id=stream["id"], name=SLUG)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_watch_backfill(api, sync, screen))
                tasks.create_task(_consume(api, consumer["id"], screen, changes))
        except ExceptionGroup as failed:  # told as any other command's error
            raise failed.exceptions[0] from failed


@asynccontextmanager
async def _server(data_dir: Path, port: int | None) -> AsyncIterator[tuple[str, str]]:
    shutil.rmtree(data_dir, ignore_errors=True)
    settings = settings_from(data_dir=data_dir, port=_free_port() if port is None else port, allow_base_url=True)
    # The demo is a world of its own, whatever the environment says.
    alone = {"database_url": None, "role": "all", "api_token": SecretStr(f"demo_{uuid7().hex}"), "secret_key": None}
    async with running(settings.model_copy(update=alone)) as server:
        assert server.token is not None
        yield server.url, server.token


@asynccontextmanager
async def _provider(screen: Screen, records: int, changes_per_s: float) -> AsyncIterator[str]:
    async with StripeServer(records=records, changes_per_s=changes_per_s, limits="real") as server:
        account = server.account

        def changed(event: Event) -> None:
            screen.changed(account.id_of(event.collection, event.ordinal))

        account.listeners.append(changed)
        yield server.base_url


async def _sync(api: AsyncClient, stream_id: str, provider_url: str) -> Sync:
    properties = {"kind": "stripe_key", "name": "demo", "secret": KEY, "test": True, "base_url": provider_url}
    return await api.syncs.create(
        name="Demo account",
        provider="stripe",
        stream_id=stream_id,
        collection_ids=COLLECTIONS,
        credential={"properties": properties},
    )


async def _watch_backfill(api: AsyncClient, sync: Sync, screen: Screen) -> None:
    """Tell when the whole account has arrived."""
    while (await api.syncs.get(sync["id"]))["initial_backfill_completed_at"] is None:  # noqa: ASYNC110 - over HTTP
        await asyncio.sleep(0.1)
    screen.complete()


async def _consume(api: AsyncClient, consumer_id: str, screen: Screen, changes: int | None) -> None:
    async with api.consumers.consume(consumer_id, batch_size=500) as messages:
        async for message in messages:
            async with message:
                screen.arrived(message.record)
            if screen.shown == changes:
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 7370))
        except OSError:
            return 0
    return 7370
