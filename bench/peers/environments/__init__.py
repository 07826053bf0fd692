"""The environments of the peers: each made under .bench/ from its lock file, and none of them part of the project."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_MADE = _HERE.parents[2] / ".bench" / "peers"


class Unavailable(Exception):
    """An environment cannot be made here: what is missing."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A peer's environment. `named` are the packages whose versions are told."""

    name: str
    named: tuple[str, ...]

    @property
    def lock(self) -> Path:
        """requirements.lock (pip) or package-lock.json (npm)."""
        locks = (_HERE / self.name / "requirements.lock", _HERE / self.name / "package-lock.json")
        return next(lock for lock in locks if lock.exists())

    @property
    def folder(self) -> Path:
        return _MADE / self.name

    @property
    def of_node(self) -> bool:
        return self.lock.name == "package-lock.json"

    def program(self, name: str) -> str:
        """A program of this environment."""
        return str(self.folder / "bin" / name)

    def make(self) -> None:
        """Make it, unless it stands and is of this lock file. Raises Unavailable."""
        stamp = self.folder / "made-from"
        mark = hashlib.sha256(self.lock.read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == mark:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        print(f"making the environment of {self.name}", flush=True)
        if self.of_node:
            self._make_of_node()
        else:
            self._make_of_python()
        stamp.write_text(mark)

    def _make_of_python(self) -> None:
        _run([sys.executable, "-m", "venv", str(self.folder)])
        # The lock file is whole, and pip's resolver stumbles over extras in it: so it installs what stands there.
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        _run([self.program("python"), "-m", "pip", "install", *options, "-r", str(self.lock)])

    def _make_of_node(self) -> None:
        if shutil.which("npm") is None:
            raise Unavailable("npm is not installed")
        self.folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(self.lock.with_name(name), self.folder / name)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], self.folder)

    def versions(self) -> Mapping[str, str]:
        """The versions of the packages that are named, as the lock file has them."""
        if self.of_node:
            packages = json.loads(self.lock.read_text())["packages"]
            return {name: packages[f"node_modules/{name}"]["version"] for name in self.named}
        pinned = dict(line.split(" ")[0].split("==") for line in self.lock.read_text().splitlines() if _is_pin(line))
        return {name: pinned[name] for name in self.named}


def _is_pin(line: str) -> bool:
    return not line.startswith((" ", "#")) and "==" in line.split(" ")[0]


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])} …: {(done.stderr or done.stdout).strip()[-300:]}")


ENVIRONMENTS = {
    made.name: made
    for made in (
        Environment("dlt", ("dlt",)),
        Environment("airbyte", ("airbyte", "airbyte-cdk")),
        Environment("singer", ("singer-sdk", "meltanolabs-target-postgres")),
        Environment("sync_engine", ("@supabase/stripe-sync-engine", "stripe")),
    )
}
