"""What one process remembers of what it has lately read, so that the edge of each head window, which is read twice, is
not fetched twice. Losing it costs requests, and at the worst a picture from in between shows for a moment."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from headrace.stream.hashes import raw_hash
from headrace.stream.items import Delete, Mention, Record

REMEMBERED = 2_000
"""Of each kind, for each sync: a process holds many. What was forgotten is fetched again."""
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
    """Of records read whole, of mentions heeded, of pictures in doubt, and of parents whose children were read."""

    def __init__(self) -> None:
        self._read: _Recent[datetime] = _Recent()
        self._heeded: _Recent[tuple[datetime, datetime]] = _Recent()
        self._doubted: _Recent[tuple[datetime, frozenset[bytes]]] = _Recent()
        self._followed: _Recent[bytes] = _Recent()
        self._told: _Recent[datetime] = _Recent()

    def stored(self, records: Iterable[Record], deletes: Iterable[Delete], unclear: Iterable[Mention]) -> None:
        """These are stored, but for what was unclear, as the provider held them at `as_of`."""
        left_out = {(mention.collection, mention.id) for mention in unclear}
        items: list[Record | Delete] = [*records, *deletes]
        for item in items:
            key = (item.collection, item.id)
            if key in left_out:
                continue
            if item.slack:
                self._told.put(key, max(item.as_of, self._told.get(key) or item.as_of))
            elif isinstance(item, Record) and item.strong:
                self._read.put(key, item.as_of)

    def heed(self, mentions: Iterable[Mention], at: datetime) -> None:
        """What these mention was fetched, by requests sent at `at` or later."""
        for mention in mentions:
            self._heeded.put((mention.collection, mention.id), (mention.as_of, at))

    def doubt(self, items: Iterable[Record | Delete], unclear: Iterable[Mention]) -> None:
        """These pictures were unclear, and the record was fetched."""
        named = {(mention.collection, mention.id) for mention in unclear}
        for item in items:
            key = (item.collection, item.id)
            if key in named:
                moment, pictures = self._doubted.get(key) or (item.as_of, frozenset())
                pictures = pictures if moment == item.as_of else frozenset()
                self._doubted.put(key, (item.as_of, pictures | {_picture(item)}))

    def covers(self, mention: Mention) -> bool:
        """Whether the record was read so long after it was mentioned that nothing of that moment can be missing."""
        read = self._read.get((mention.collection, mention.id))
        return read is not None and read >= mention.as_of + CLOCKS_APART

    def heeded(self, mention: Mention, now: datetime) -> bool:
        """Whether this moment of the record was seen to before. A further change within the same second cannot be told
        from the first: so what is fetched at once is fetched again when the moment is surely over, while the edge of
        the head window still shows it; the settled re-read then need not."""
        moment, at = self._heeded.get((mention.collection, mention.id)) or (None, now)
        over = mention.as_of + CLOCKS_APART
        return moment is not None and moment >= mention.as_of and (at >= over or now < over)

    def doubted(self, item: Record | Delete) -> bool:
        """Whether this very picture was unclear before, and the record was fetched for it."""
        moment, pictures = self._doubted.get((item.collection, item.id)) or (None, frozenset())
        return moment == item.as_of and _picture(item) in pictures

    def superseded(self, item: Record | Delete) -> bool:
        """Whether a picture that is surely later than this one was stored before.

        What is held cannot always tell: a record that changed and changed back is held as it was, with the moment of
        the first time, and the picture in between would pass for news.
        """
        key = (item.collection, item.id)
        later = [moment for moment in (self._told.get(key), self._read.get(key)) if moment is not None]
        return any(moment > item.as_of and moment >= item.as_of + item.slack for moment in later)

    def follow(self, parent: Record, raw_hash: bytes) -> None:
        """The children of this picture of a parent were read."""
        self._followed.put((parent.collection, parent.id), raw_hash)

    def followed(self, parent: Record, raw_hash: bytes) -> bool:
        return self._followed.get((parent.collection, parent.id)) == raw_hash


def _picture(item: Record | Delete) -> bytes:
    return raw_hash(item.raw) if isinstance(item, Record) else b""
