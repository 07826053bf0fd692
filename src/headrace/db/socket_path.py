"""The way to the embedded server's socket, whose address has to be short where a folder's path may be long."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

NAME = ".s.PGSQL.5432"
USER = DATABASE = "headrace"
_LIMIT = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
_RUNTIME_DIRS = ("/run", "/var/run")


@contextmanager
def within_reach(folder: Path) -> Iterator[Path]:
    """A path of the socket's folder that fits into a socket's address: its own, or where that does not fit a link of
    this process's own, which is there for the time of the block."""
    path = str(folder / NAME)
    if len(path.encode()) <= _LIMIT and "," not in path:  # in a URL a comma parts hosts
        yield folder
        return
    places = [os.environ.get("XDG_RUNTIME_DIR"), *_RUNTIME_DIRS]
    place = next((p for p in places if p and len(p) < 60 and os.access(p, os.W_OK | os.X_OK)), None)
    with tempfile.TemporaryDirectory(prefix="headrace-", dir=place) as made:
        link = Path(made) / "pg"
        link.symlink_to(folder)
        yield link


def url(folder: Path, database: str = DATABASE) -> str:
    """The database's URL by a path that `within_reach` gave."""
    return f"postgresql://{USER}@/{database}?host={quote(str(folder), safe='')}"
