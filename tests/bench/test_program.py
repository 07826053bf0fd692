"""A peer's command: what it costs is counted with all that it starts, and kill -9 reaches all of it."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import psutil
from bench.peers.program import Program, Watch

BURN = "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until: pass"


def _program(tmp_path: Path, *command: str) -> Program:
    return Program(command, folder=tmp_path, env={}, log=tmp_path / "log")


async def test_the_time_of_a_child_that_has_ended_is_counted(tmp_path: Path) -> None:
    spawn = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    program = _program(tmp_path, sys.executable, "-c", spawn)
    assert await program.ended() == 0
    assert program.busy_s() >= 0.3


async def test_kill_reaches_what_the_command_has_started(tmp_path: Path) -> None:
    program = _program(tmp_path, "sh", "-c", "sleep 1000 & echo $! > child; wait")
    child = tmp_path / "child"
    while not (child.exists() and child.read_text().strip()):
        await asyncio.sleep(0.01)
    sleeping = psutil.Process(int(child.read_text()))
    await program.kill()
    assert program.code == -9
    with suppress(psutil.NoSuchProcess):
        while sleeping.status() != psutil.STATUS_ZOMBIE:  # it goes when whoever has inherited it looks
            await asyncio.sleep(0.01)


async def test_memory_of_children_is_counted_together(tmp_path: Path) -> None:
    hold = "held = bytearray(64 << 20); print(1, flush=True); import time; time.sleep(1000)"
    program = _program(tmp_path, "sh", "-c", f"{sys.executable} -c '{hold}' & {sys.executable} -c '{hold}'; wait")
    try:
        async with Watch(lambda: [program.pid]) as watch:
            async with asyncio.timeout(60):
                while watch.most < 128 << 20:
                    await asyncio.sleep(0.05)
    finally:
        await program.kill()


async def test_a_command_that_fails_is_told_by_its_last_words(tmp_path: Path) -> None:
    program = _program(tmp_path, "sh", "-c", "echo one; echo two; echo three; echo four >&2; exit 7")
    assert await program.ended() == 7
    assert program.last_words() == "two / three / four"


async def test_of_a_trace_the_line_that_names_the_error_is_told(tmp_path: Path) -> None:
    trace = "echo 'TypeError: no such thing'; echo at one; echo at two; echo; echo Node.js"
    program = _program(tmp_path, "sh", "-c", f"{trace}; exit 1")
    assert await program.ended() == 1
    assert program.last_words() == "TypeError: no such thing / at one / at two"


async def test_last_words_tell_no_folders_of_this_machine(tmp_path: Path) -> None:
    said = "Error: see https://example.com/docs/limits / at get (/home/someone/app/main.js:11:16)"
    program = _program(tmp_path, "sh", "-c", f"echo '{said}'; exit 1")
    assert await program.ended() == 1
    assert program.last_words() == "Error: see https://example.com/docs/limits / at get (main.js:11:16)"
