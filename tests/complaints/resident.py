"""The memory of a process, as the system tells it."""

import re
from pathlib import Path

import pytest

told = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")


def resident_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
