"""The lock files hold what pyproject.toml asks for, each with its hashes, and name no registry."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = re.compile(r"^([A-Za-z0-9._-]+)")


def locked(file: str) -> dict[str, str]:
    """Package → what the lock says of it, hashes included."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / file).read_text())
    return {match[1].lower(): entry for entry in entries if (match := re.match(r"([A-Za-z0-9._-]+)==", entry))}


def wanted(group: list[str | dict[str, str]]) -> list[str]:
    return [match[1].lower() for each in group if isinstance(each, str) and (match := NAME.match(each))]


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_a_hash_for_everything_and_names_no_registry(file: str) -> None:
    entries = locked(file)
    assert entries
    assert [name for name, entry in entries.items() if "--hash=sha256:" not in entry] == []
    assert re.search(r"https?://|index-url|find-links", (ROOT / file).read_text()) is None


def test_the_locks_hold_what_the_project_asks_for() -> None:
    groups = PROJECT["dependency-groups"]
    run, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    needed = [*wanted(PROJECT["project"]["dependencies"]), *wanted(groups["build"])]
    assert [name for name in needed if name not in run] == [], "run `make lock`"
    assert [name for name in [*needed, *wanted(groups["dev"])] if name not in dev] == [], "run `make lock`"


def test_tests_run_on_the_same_versions_as_users() -> None:
    run, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name for name in run if run[name].split()[0] != dev[name].split()[0]} == set()
