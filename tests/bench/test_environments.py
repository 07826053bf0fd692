"""The environments of the peers: pinned, and with nothing of the project's own."""

import re

import pytest
from bench.peers.environments import ENVIRONMENTS, Environment


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=lambda each: each.name)
def test_every_package_is_pinned_and_has_a_hash(environment: Environment) -> None:
    text = environment.lock.read_text()
    if environment.of_node:
        packages = text.count('"node_modules/')
        assert packages == text.count('"integrity": "sha512-')
    else:
        blocks = re.split(r"\n(?=[a-z])", text.partition("\n")[2])
        pins = [block for block in blocks if not block.startswith("#")]
        assert all("==" in block and "--hash=sha256:" in block for block in pins)
        assert pins


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=lambda each: each.name)
def test_the_versions_that_are_told_are_those_of_the_lock_file(environment: Environment) -> None:
    versions = environment.versions()
    assert set(versions) == set(environment.named)
    assert all(re.match(r"\d+\.\d+", version) for version in versions.values())
