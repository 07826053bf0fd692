"""What keeps a provider's server alive: changes at a rate, or before each answer."""

import asyncio
import random
from abc import ABC, abstractmethod

_TICK_S = 0.02


class Mutator(ABC):
    """Changes what a server holds. A provider's own says in `change` what one change is; what it does next is decided
    by the seed, through `dice`.

    `changes_per_s` and `per_answer` (so many before each answer) may be set at any time; 0 rests.
    """

    def __init__(self, seed: int, changes_per_s: float = 0.0) -> None:
        self.changes_per_s = changes_per_s
        self.per_answer = 0
        self.dice = random.Random(f"mutator {seed}")

    @abstractmethod
    def change(self) -> None:
        """One change, or none where nothing can change."""

    def before_an_answer(self) -> None:
        for _ in range(self.per_answer):
            self.change()

    async def run(self) -> None:
        """Change until cancelled, keeping the rate over any longer stretch."""
        loop = asyncio.get_running_loop()
        due, last = 0.0, loop.time()
        while True:
            await asyncio.sleep(_TICK_S)
            now = loop.time()
            due += self.changes_per_s * (now - last)
            last = now
            while due >= 1:
                due -= 1
                self.change()
