"""A change that breaks a promise of the stream, and the tests that are about it."""

from dataclasses import dataclass
from pathlib import Path

STREAM = Path(__file__).parents[2] / "src" / "headrace" / "stream"

_CONSUMERS = "test_consumer_law.py", "test_consume.py", "test_deliver_policies.py", "test_turns.py"
_APPEND = "test_order_law.py", "test_append.py"
_LEAVING = ("test_purge_and_retention.py",)
_EVENTS = "test_event_law.py", "test_events.py"
_DICTIONARIES = ("test_dictionaries.py",)


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands `times` times in `file` (a path from `stream`), becomes `new` there, and so do the pairs of
    `also`, each once. `promise` is what is broken by that."""

    name: str
    promise: str
    file: str
    old: str
    new: str
    also: tuple[tuple[str, str], ...] = ()
    times: int = 1
    asked: tuple[str, ...] = ()

    @property
    def laws(self) -> tuple[str, ...]:
        """The tests that are asked, laws first, as paths from `tests/stream`: `asked`, or else those about the file."""
        if self.asked:
            return self.asked
        if self.name.startswith("event"):
            return _EVENTS
        if "dictionar" in self.file or self.file == "training.py":
            return _DICTIONARIES
        if self.file in ("retention.sql", "lifecycle.py", "lifecycle.sql"):
            return _LEAVING
        if self.file.startswith("consumers/") or self.file == "filters.py":
            return _CONSUMERS
        return _APPEND

    def missing(self, text: str) -> list[str]:
        """What is to be changed and is not there as often as is said; `text` is the file's."""
        found = [self.old] if text.count(self.old) != self.times else []
        return found + [old for old, _ in self.also if text.count(old) != 1]

    def broken(self, text: str) -> str:
        for old, new in ((self.old, self.new), *self.also):
            text = text.replace(old, new)
        return text
