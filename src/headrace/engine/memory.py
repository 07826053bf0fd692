"""What one process remembers of what it has lately read, so that the edge of each head window, which is read twice, is
not fetched twice. Losing it costs requests and nothing else."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from headrace.stream.items import NO_SLACK, Mention, Record

REMEMBERED = 20_000
CLOCKS_APART = timedelta(seconds=5)
"""What was read this long after a moment has surely seen all that happened then: providers tell their times in whole
seconds, and their clocks are known to within three."""

V = TypeVar("V")
Id = tuple[str, str]


class _Recent(Generic[V]):
    """The latest so many keys with a value each."""

    def __init__(self) -> None:
        self._values: OrderedDict[Id, V] = OrderedDict()

    def get(self, key: Id) -> V | None:
        return self._values.get(key)

    def put(self, key: Id, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > REMEMBERED:
            self._values.popitem(last=False)


class Memory:
    """Of records read whole, of mentions heeded, and of parents whose children were read."""

    def __init__(self) -> None:
        self._read: _Recent[datetime] = _Recent()
        self._heeded: _Recent[datetime] = _Recent()
        self._followed: _Recent[bytes] = _Recent()

    def stored(self, records: Iterable[Record]) -> None:
        """These are stored as the provider held them at `as_of`."""
        for record in records:
            if record.strong and record.slack == NO_SLACK:
                self._read.put((record.collection, record.id), record.as_of)

    def heed(self, mentions: Iterable[Mention]) -> None:
        """What these mention was fetched, or will be."""
        for mention in mentions:
            self._heeded.put((mention.collection, mention.id), mention.as_of)

    def covers(self, mention: Mention) -> bool:
        """Whether the record was read so long after it was mentioned that nothing of that moment can be missing."""
        read = self._read.get((mention.collection, mention.id))
        return read is not None and read >= mention.as_of + CLOCKS_APART

    def heeded(self, collection: str, upstream_id: str, moment: datetime) -> bool:
        """Whether this moment of the record was seen to before. A second change within the same second would be taken
        for the first: the settled re-read, which does not ask this, finds it."""
        heeded = self._heeded.get((collection, upstream_id))
        return heeded is not None and heeded >= moment

    def follow(self, parent: Record, raw_hash: bytes) -> None:
        """The children of this picture of a parent were read."""
        self._followed.put((parent.collection, parent.id), raw_hash)

    def followed(self, parent: Record, raw_hash: bytes) -> bool:
        return self._followed.get((parent.collection, parent.id)) == raw_hash
