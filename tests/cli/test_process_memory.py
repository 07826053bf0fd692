"""What a process gives back to the system."""

import os
import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import os
from pathlib import Path

from headrace.cli.process import give_memory_back

give_memory_back()


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


kept = []
before = resident()
for _ in range(8):
    answers = []
    for _ in range(20):
        answers.append(bytearray(2_000_000))
        kept.append(bytearray(1000))
    del answers
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_answers_that_were_sent_leave_no_hole_in_memory() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True, env=env)
    assert int(done.stdout) < 5_000_000
