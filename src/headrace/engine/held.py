"""One sync that this worker holds: its runner, kept running."""

import asyncio
from uuid import UUID

import structlog

from headrace.engine import metrics
from headrace.engine.configurations import Configuration
from headrace.engine.leases import Lease
from headrace.engine.runner import SyncRunner
from headrace.engine.services import EngineServices
from headrace.errors import Fenced

log = structlog.get_logger(__name__)

_FENCED_S = 1.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0
_STEADY_S = 600.0


class HeldSync:
    """Runs from its making until `stop` or `drop`. A run that ends by an unexpected error begins again, after a pause
    that doubles from a second to five minutes; one that was fenced begins again with the newest fence, if the lease is
    still held then."""

    def __init__(self, services: EngineServices, lease: Lease, configuration: Configuration) -> None:
        self.lease = lease
        self.configuration = configuration
        self.failures = 0
        self.last_error: str | None = None
        self._services = services
        self._runner: SyncRunner | None = None
        self._stopping = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"sync-{lease.sync_id}")

    @property
    def sync_id(self) -> UUID:
        return self.lease.sync_id

    def reconfigure(self, lease: Lease, configuration: Configuration) -> None:
        """The sync, its revision or its credential has changed."""
        self.lease, self.configuration = lease, configuration
        if self._runner is not None:
            self._runner.reconfigure(configuration.sync, lease.fence, configuration.access)

    def hint(self) -> None:
        """A webhook or a run request came: look at once."""
        if self._runner is not None:
            self._runner.hint()

    def storing_trouble(self, for_s: float) -> str | None:
        """Why pages have not been stored for so many seconds, None while they are."""
        return self._runner.storing_trouble(for_s) if self._runner is not None else None

    @property
    def resting(self) -> bool:
        """Whether nothing of it is under way."""
        return self._runner is None or self._runner.resting

    def leave(self) -> None:
        """Begin nothing any more; what is under way goes on."""
        self._stopping.set()
        if self._runner is not None:
            self._runner.leave()

    async def stop(self) -> None:
        """Begin nothing new; returns when the answers under way are stored."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.stop()
        await asyncio.gather(self.task, return_exceptions=True)

    def drop(self) -> None:
        """The sync is no longer this worker's: leave off at once. What is under way would be refused."""
        self._stopping.set()
        self.task.cancel()

    async def _run(self) -> None:
        clock = self._services.clock
        while not self._stopping.is_set():
            begun = clock.monotonic()
            try:
                await self._run_once()
            except Fenced:
                await self._pause(_FENCED_S)
            except Exception as error:
                self.failures = 1 if clock.monotonic() - begun > _STEADY_S else self.failures + 1
                self.last_error = type(error).__name__
                pause = min(_FIRST_PAUSE_S * 2 ** (self.failures - 1), _LONGEST_PAUSE_S)
                metrics.RUNNER_FAILURES.labels(self.configuration.sync.provider).inc()
                log.exception("runner_failed", sync_id=str(self.sync_id), failures=self.failures, again_in_s=pause)
                await self._pause(pause)

    async def _run_once(self) -> None:
        lease, configuration = self.lease, self.configuration
        self._runner = SyncRunner(self._services, configuration.sync, lease.fence, configuration.access)
        try:
            await self._runner.run()
        finally:
            self._runner = None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
