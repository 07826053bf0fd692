"""The way that one reading of a list has come: a list that leads back to where it was would be read for ever."""

from typing import TypeVar

import orjson

from headrace.providers.kit.pagers import stuck

C = TypeVar("C")


class Trail:
    """For what reads several pages of a list within one page of its own, where the engine does not see the cursors."""

    def __init__(self) -> None:
        self._followed: set[bytes] = set()

    def follow(self, cursor: C) -> C:
        """The cursor (anything that is JSON), which is followed next. Raises Faulted (`transient`) where it was
        followed before: at once for a page that leads to itself, and after one turn of any longer circle."""
        mark = orjson.dumps(cursor, option=orjson.OPT_SORT_KEYS)
        if mark in self._followed:
            raise stuck(f"it goes in circles, the next page is one that was read before ({cursor})")
        self._followed.add(mark)
        return cursor
