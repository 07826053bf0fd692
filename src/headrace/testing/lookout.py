"""How long nobody may have looked for requests: a server on a busy machine handles together what came one by one."""

import asyncio
from time import monotonic

EVERY_S = 0.02
AWAY_S = 3 * EVERY_S
"""Shorter absences are not told."""


class Lookout:
    """Looks up again and again, as the event loop lets it."""

    def __init__(self) -> None:
        self._last = self._before = -1.0

    async def run(self) -> None:
        while True:
            self._before, self._last = self._last, monotonic()
            await asyncio.sleep(EVERY_S)

    def away_s(self) -> float:
        """What is being handled now may have come so many seconds ago. Counted from the look before the last: the last
        may have been between the return of the loop and the handling of what it found."""
        away = monotonic() - self._before if self._before >= 0 else 0.0
        return away if away > AWAY_S else 0.0
