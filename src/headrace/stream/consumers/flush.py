"""One flush to disk for the turns of all consumers of a process.

A turn commits without waiting for the disk, so that its lock is short and the next turn can begin; nobody is answered
before a commit that came after it has reached the disk, and all that was committed before that with it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Flush:
    """One for a process. `to_disk` makes a commit that waits for the disk; None where it would reach one of several
    servers only, and each turn has to wait for itself."""

    def __init__(self, to_disk: Callable[[], Awaitable[object]] | None) -> None:
        self._to_disk = to_disk
        self._next: asyncio.Future[None] | None = None
        self._flushing: asyncio.Task[None] | None = None

    @property
    def needed(self) -> bool:
        """Whether turns may leave it to this to reach the disk."""
        return self._to_disk is not None

    async def wait(self) -> None:
        """Until all that was committed before this call is on the disk. Raises when that cannot be known."""
        if self._to_disk is None:
            return
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            self._next.add_done_callback(lambda each: each.cancelled() or each.exception())  # told to those who wait
        waited_for = self._next
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="flush-of-turns")
        await asyncio.shield(waited_for)

    async def close(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing

    async def _flush(self) -> None:
        assert self._to_disk is not None
        try:
            while self._next is not None:
                served, self._next = self._next, None
                try:
                    await self._to_disk()
                except BaseException as error:
                    if isinstance(error, asyncio.CancelledError):
                        served.cancel()
                        raise
                    served.set_exception(error)
                else:
                    served.set_result(None)
        finally:
            self._flushing = None
            if self._next is not None and not self._next.done():
                self._next.cancel()
                self._next = None
