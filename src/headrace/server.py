"""Puts a process together: database, keys, engine, API; and takes it apart again, in order, within five seconds.

    async with running(settings) as server:
        print(server.url)

`serve(settings)` is the same until a signal comes. Two processes may start at once on one database: migrations run
under a lock, and the first organisation and its token are made by one of them only.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace import __version__, console, first_start
from headrace.api.app import create_app
from headrace.api.services import Services
from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import MigrationRefused, migrate
from headrace.db.pool import Database
from headrace.engine.access import reloader
from headrace.engine.pace import Pace
from headrace.engine.services import EngineServices
from headrace.engine.transport import Transport
from headrace.engine.worker import Worker
from headrace.errors import HeadraceError
from headrace.ids import uuid7
from headrace.providers import installed
from headrace.settings import Settings
from headrace.stream.consumers import Dispatcher
from headrace.stream.wake import Wakeups
from headrace.vault.keys import Keyring

log = structlog.get_logger()

SERVICE_PATHS = frozenset({"/health", "/ready", "/metrics"})
DRAIN_S = 1.0
"""How long answers under way may take once the process was told to stop; who still waits then is told to come again."""
STOP_S = 4.5
"""How long all parts together may take to stop; then the process ends without them."""


class CannotStart(HeadraceError):
    """The process cannot start as it is set up; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that is up.

    `token` is the admin token that the settings give or that this start made, None when neither; `token_is_new` says
    that this start made it, so that it must be shown now.
    """

    url: str
    token: str | None
    token_is_new: bool
    services: Services


class _Parts(AsyncExitStack):
    """The parts that are up; stopped last first, all of them by one deadline."""

    _stop_by: float | None = None

    def stop_with(self, name: str, stop: Callable[[], Awaitable[None]]) -> None:
        """A part that fails to stop is told of and left behind, so that the others are stopped too."""

        async def stop_in_time() -> None:
            self._stop_by = self._stop_by or asyncio.get_running_loop().time() + STOP_S
            try:
                async with asyncio.timeout_at(self._stop_by):
                    await stop()
            except Exception as error:
                log.warning("not_stopped_in_order", part=name, reason=str(error) or type(error).__name__)

        self.push_async_callback(stop_in_time)


async def serve(settings: Settings, ready: Callable[[Running], None]) -> None:
    """Run until SIGTERM or SIGINT, then stop in order; `ready` is called once the process is up.

    A second signal has its usual effect: it ends the process at once, and nothing that was acknowledged is lost.
    """
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(_serve_for_ever(settings, ready), name="serving")
    signals: list[str] = []

    def stop(number: signal.Signals) -> None:
        signals.append(number.name)
        log.info("stopping", signal=number.name)
        # To look for cycles among thousands of syncs takes half a second, in which none would be handed over.
        gc.freeze()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
        serving.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        await serving
    except asyncio.CancelledError:
        if not signals:
            raise
    log.info("stopped")


async def _serve_for_ever(settings: Settings, ready: Callable[[Running], None]) -> None:
    async with running(settings) as server:
        ready(server)
        await asyncio.Event().wait()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A whole process: up inside the block, stopped in order after it.

    Port 0 takes a free one. Raises CannotStart or KeyProblem, saying what to change.
    """
    async with _Parts() as parts:
        listening = parts.enter_context(_listen(settings.host, settings.port))
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        db = await _database(parts, settings)
        keyring = Keyring.load(settings, settings.key_dir)
        async with db.api.acquire() as conn:
            await keyring.check(conn)
        first = await first_start.ensure(db, settings.api_token)
        services = await _services(parts, settings, db, keyring)
        await _http(parts, services, listening)
        url = _url(settings)
        log.info("serving", url=url, role=settings.role, version=__version__)
        given = settings.api_token.get_secret_value() if settings.api_token else None
        yield Running(url, given or first.made_token, first.made_token is not None, services)


async def _database(parts: _Parts, settings: Settings) -> Database:
    if settings.database_url is None:
        embedded = EmbeddedPostgres(settings.data_dir)
        try:
            dsn = await embedded.start()
        except RuntimeError as error:
            raise CannotStart(str(error)) from error
        parts.stop_with("postgres", embedded.stop)
    else:
        dsn = settings.database_url.get_secret_value()
    try:
        for name in await migrate(dsn):
            log.info("migrated", migration=name)
    except MigrationRefused as error:
        raise CannotStart(str(error)) from error
    db = await Database.open(dsn)
    parts.stop_with("pools", db.close)
    return db


async def _services(parts: _Parts, settings: Settings, db: Database, keyring: Keyring) -> Services:
    """The engine and what the API needs of it. A worker claims syncs at once, the API answers soon after."""
    worker_id = uuid7()
    providers = installed()
    wakeups = Wakeups(db)
    await wakeups.start()
    parts.stop_with("wakeups", wakeups.stop)
    pace = Pace(db, worker_id, settings)
    transport = Transport(db, pace, settings, reload=reloader(db, keyring, providers, settings), keyring=keyring)
    parts.stop_with("transport", transport.close)
    engine = EngineServices(db, keyring, providers, settings, db.clock, wakeups, transport, pace, worker_id)
    worker = None
    if settings.role != "api":
        worker = Worker(engine)
        await worker.start()
        parts.stop_with("worker", worker.stop)
    dispatcher = Dispatcher(db, wakeups)
    parts.stop_with("consumers", dispatcher.close)
    return Services(settings, db, keyring, providers, wakeups, dispatcher, transport, worker)


class _Uvicorn(uvicorn.Server):
    """Uvicorn inside a process that has signal handlers of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _http(parts: _Parts, services: Services, listening: socket.socket) -> None:
    config = uvicorn.Config(
        ComeAgain(_app(services)),
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
    server = _Uvicorn(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="http")

    async def stop() -> None:
        server.should_exit = True
        # Others shall have the syncs at once, not when the last answer here is written: both go on side by side.
        leaving = asyncio.create_task(services.worker.stop()) if services.worker is not None else None
        await asyncio.wait({task}, timeout=DRAIN_S)
        for waiting in tuple(server.server_state.tasks):
            waiting.cancel()
        await task
        if leaving is not None:
            await leaving

    parts.stop_with("http", stop)


def _app(services: Services) -> FastAPI:
    """The API and the console; of them, a process of role `worker` has only what tells how it is."""
    app = create_app(services)
    if services.settings.role == "worker":
        app.router.routes = [route for route in app.routes if getattr(route, "path", None) in SERVICE_PATHS]
    else:
        app.router.routes += console.routes(services, app)
    return app


class ComeAgain:
    """When the process stops: 503 to a request that is cancelled before its answer began (a long poll), and the end to
    a stream of events, which the browser asks for again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = events = False

        async def noting(message: Message) -> None:
            nonlocal begun, events
            begun = True
            if message["type"] == "http.response.start":
                events = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if scope["type"] != "http" or (begun and not events):
                raise
            if events:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await _STOPPING(scope, receive, send)


_STOPPING = Response(
    b'{"summary":"This process is stopping. Nothing was done; ask again."}',
    status_code=503,
    headers={"Retry-After": "1"},
    media_type="application/json",
)


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens: connections queue in it from now on, and are answered when the process is up."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise CannotStart(
            f"Cannot listen on {host}:{port} ({error.strerror or error}). Choose another --host or --port; "
            "0 takes a free port."
        ) from error
    with listening:
        yield listening


def _url(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - compared only
    return f"http://{host}:{settings.port}"
