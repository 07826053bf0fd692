"""`make bench`: every benchmark of this folder, one after the other, each a process of its own.

python -m bench [--quick] [NAME …]
"""

import argparse
import subprocess
import sys
from pathlib import Path

from bench.report import machine

ORDER = (
    "provider_server",
    "append",
    "dictionaries",
    "consume",
    "peers.consume",
    "held_open",
    "retention",
    "first_load",
    "unchanged",
    "latency",
    "pace",
    "idle",
    "many",
    "scale",
    "memory",
    "console",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small ones, to see that they run")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ORDER)}; default: all")
    options = parser.parse_args()
    print(machine(), flush=True)
    here = Path(__file__).parent
    failed = []
    for name in options.names or ORDER:
        print(f"\n── {name}", flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *(["--quick"] if options.quick else [])]
        if subprocess.run(command, cwd=here.parent, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
