"""The log of what a provider server was asked: what a test looks at instead of believing its subject."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `moment` is Unix seconds by this machine's clock, when it was handled; it may have come `late_s`
    earlier, since nobody looked. `key` is the credential, shortened; `fault` names the fault that struck, if one did;
    `refused`: there were too many requests."""

    moment: float
    method: str
    path: str
    query: str
    status: int
    key: str
    fault: str = ""
    refused: bool = False
    late_s: float = 0.0


class RequestLog:
    """The latest requests, oldest first, in a ring of `size`; `counts` by (method, status) counts all."""

    def __init__(self, size: int = 100_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self.counts: Counter[tuple[str, int]] = Counter()

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.counts[entry.method, entry.status] += 1

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    @property
    def total(self) -> int:
        """All requests since the start or the last `clear`, those that left the ring included."""
        return self.counts.total()

    def find(self, path: str = "*", *, method: str = "*", status: int | None = None, since: float = 0.0) -> list[Entry]:
        """The entries whose path matches (a glob), with this method and status, at or after the moment `since`."""
        return [
            entry
            for entry in self._entries
            if entry.moment >= since
            and (status is None or entry.status == status)
            and method in ("*", entry.method)
            and fnmatchcase(entry.path, path)
        ]

    def most_in(self, window_s: float, path: str = "*", *, method: str = "*") -> int:
        """The most requests that any window of `window_s` seconds holds for sure (half open: two requests exactly
        `window_s` apart are in no window together), whenever those came that were late to be handled."""
        most = 0
        window: deque[float] = deque()
        for entry in self.find(path, method=method):
            window.append(entry.moment - entry.late_s)
            while len(window) > 1 and entry.moment - window[0] >= window_s:
                window.popleft()
            most = max(most, len(window))
        return most

    def clear(self) -> None:
        self._entries.clear()
        self.counts.clear()
