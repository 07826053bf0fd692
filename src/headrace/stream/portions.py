"""How much of a removal is done at once: so little that no append waits for it for long."""

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.clock import Clock

_TARGET_S = 0.02
_FEWEST, _MOST = 20, 1000


class Portions:
    """The rows of the next chunk, by what the last ones took.

    An append waits for a chunk in two ways: for a record that the chunk is deleting, until it commits; and, at its own
    commit, until the chunk's part of the log is on the disk. Both are over with the chunk, so the time of a chunk,
    its commit included, is what is held down, to about 20 ms on whatever disk.
    """

    def __init__(self, clock: Clock) -> None:
        self.rows = 100
        self._clock = clock
        self._took = 0.0

    @contextmanager
    def chunk(self) -> Iterator[int]:
        """One chunk, of as many rows as are given."""
        began = self._clock.monotonic()
        yield self.rows
        self._took = self._clock.monotonic() - began
        change = min(2.0, max(0.25, _TARGET_S / max(self._took, 1e-4)))
        self.rows = min(_MOST, max(_FEWEST, int(self.rows * change)))

    async def rest(self) -> None:
        """As long as the last chunk took: half of the disk is left to others."""
        await self._clock.sleep(self._took)
