"""Options and running of the commands that are a process of their own, not clients of one.

What these commands stand on is imported when they run: the others should not wait for it.
"""

import asyncio
import ctypes
import gc
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.settings import Settings

T = TypeVar("T")

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # as <malloc.h> numbers them

DataDir = Annotated[
    Path | None,
    typer.Option(help="Where the embedded PostgreSQL keeps its data [HEADRACE_DATA_DIR, headrace-data]."),
]


class BadSettings(HeadraceError):
    """The environment or the command line holds a setting that cannot be."""


def settings_from(**given: Any) -> "Settings":
    """The settings of the environment, with those of the command line above them."""
    from pydantic import ValidationError

    from headrace.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        # Without the values: one of them may be a secret in the wrong place.
        found = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
        raise BadSettings(f"a setting does not hold: {'; '.join(found)}") from None


def spare_the_collector() -> None:
    """Once the process has started: leave what the start has made out of the collector's sight, and look for cycles
    less often.

    Pages of records are many short-lived objects without cycles. While they come fast, looking for cycles cost 8 us a
    record, a tenth of all, and each full look, over some hundred thousand objects of modules and classes, held up the
    event loop for 0.1 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def give_memory_back() -> None:
    """From now on let large buffers go back to the system when they are freed. Without effect where the C library is
    not glibc.

    By itself glibc takes a buffer's size, once it was freed, for one to be kept: after the first answers of 2 MB these
    are cut from the heap, where whatever small is allocated after them keeps the hole behind it. Handing out a million
    records at a thousand an answer left 0.1 GB of holes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 256 << 10)
        mallopt(_TRIM_THRESHOLD, 8 << 20)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
