"""Breaks the stream on purpose, one promise at a time, and tells whether the laws notice.

A law that nothing can break proves nothing. Each mutant is one change of the SQL or of the rules; for each the laws that
are about it run against a copy of the source that has it. That takes minutes, so it is no part of `make test`.

python tests/stream/mutants.py [NAME …]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutant import STREAM, Mutant
from mutants_of_consumers import OF_CONSUMERS
from mutants_of_the_log import OF_THE_LOG
from mutants_of_the_rest import OF_THE_REST

ROOT = Path(__file__).parents[2]
MUTANTS = (*OF_CONSUMERS, *OF_THE_LOG, *OF_THE_REST)
_LONGEST_S = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args().names
    wanted = [mutant for mutant in MUTANTS if not chosen or mutant.name in chosen]
    print("| mutant | what it breaks | noticed by |\n|---|---|---|", flush=True)
    survived = 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        for mutant, law in zip(wanted, pool.map(_noticed, wanted), strict=True):
            survived += law is None
            print(f"| {mutant.name} | {mutant.promise} | {law or 'nothing'} |", flush=True)
    return 1 if survived else 0


def _noticed(mutant: Mutant) -> str | None:
    """The law that fails with the mutant; None when all pass."""
    with tempfile.TemporaryDirectory(prefix="headrace-mutant-") as folder:
        shutil.copytree(ROOT / "src", Path(folder) / "src")
        path = Path(folder) / STREAM.relative_to(ROOT) / mutant.file
        text = path.read_text()
        if missing := mutant.missing(text):
            sys.exit(f"{mutant.name}: {mutant.file} no longer says what is to be changed: {missing}")
        path.write_text(mutant.broken(text))
        laws = [str(ROOT / "tests" / "stream" / name) for name in mutant.laws]
        environment = {**os.environ, "PYTHONPATH": str(Path(folder) / "src"), "HEADRACE_NO_SHRINKING": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *laws]
        try:
            run = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST_S
            )
        except subprocess.TimeoutExpired:
            return "laws that do not end"
    failed = [line.split("::")[1].split(" ")[0] for line in run.stdout.splitlines() if line.startswith("FAILED")]
    if run.returncode not in (0, 1):
        sys.exit(f"{mutant.name}: pytest ended with {run.returncode}: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    return failed[0] if failed else None


if __name__ == "__main__":
    sys.exit(main())
