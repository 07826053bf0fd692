"""How the benchmarks report: one line a figure, with its goal, and the machine that it was taken on."""

import os
import platform
import sys
from pathlib import Path


def machine() -> str:
    """The machine in a line: cores, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    python = ".".join(str(part) for part in sys.version_info[:3])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.release()}, Python {python}"
    return f"{cores} cores ({_processor()}), {memory:.0f} GiB, {system}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def figure(name: str, value: float, unit: str, at_least: float | None = None, below: float | None = None) -> None:
    """Print a figure and, where there is one, its goal and whether it is met. A goal that is missed fails nothing: the
    figures of a shared machine are no test."""
    goal = ""
    if at_least is not None:
        goal = f"goal ≥ {at_least:,g}: {'met' if value >= at_least else f'missed, {value / at_least:.0%} of it'}"
    elif below is not None:
        goal = f"goal < {below:,.4g}: {'met' if value < below else f'missed, {value / below:.0%} of it'}"
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
    print(f"{name:<56} {shown:>12} {unit:<12} {goal}", flush=True)


def progress(what: str) -> None:
    """Say on stderr how far a benchmark is that takes minutes."""
    print(what, file=sys.stderr, flush=True)


def check(holds: bool, what: str) -> None:
    """End the benchmark with exit code 1 when the copy is not right: a figure for a wrong answer is worth nothing."""
    if not holds:
        print(f"WRONG: {what}", file=sys.stderr)
        sys.exit(1)
