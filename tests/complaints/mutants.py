"""Breaks, one at a time, the promises that the complaints are about, and tells whether the complaint's test notices.

What two parts of the product keep together is broken in both: one of them alone would make up for the other. Minutes
long, so no part of `make test`.

python tests/complaints/mutants.py [NUMBER …]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "headrace"
_LONGEST_S = 400.0
_AT_ONCE = 4
"""They spend most of their time waiting for what does not come."""


@dataclass(frozen=True)
class Mutant:
    """In each file of `src/headrace`, the first text becomes the second. `number` is the complaint's."""

    number: int
    what: str
    edits: tuple[tuple[str, str, str], ...]

    def missing(self) -> list[str]:
        """What is to be changed and is not there."""
        there = ((SOURCE / file).read_text() for file, _, _ in self.edits)
        return [f"{file}: {old}" for text, (file, old, _) in zip(there, self.edits, strict=True) if old not in text]


def broken(number: int, what: str, *edits: tuple[str, str, str]) -> Mutant:
    return Mutant(number, what, edits)


_AWAY = "await self._intake.take(gone, [], origin=GONE)"
_READ_ON = "page, await guard.follow(page, behind), guard"
_SAME = "        if same:\n            changes.unchanged += 1"
_SETTLED_DUE = "if mark is None or head is None:"
_SETTLED_BY_HEAD = "lo = min(head.position, self._settles_from() or head.position)"
_BROKEN_OFF = (
    "                    guard.revive(mark.cursor, failed)\n                    mark.cursor = None\n"
    "                    continue\n                mark.cursor"
)
_BROKEN_OFF_ENDS = (
    "                    mark.partitions.pop(0)\n                    mark.cursor = None\n"
    "                    continue\n                mark.cursor"
)
_FORGOTTEN = "await session.services.db.ingest.execute(FORGET_SEEN, stream_id, sweep_id, FORGET_CHUNK)"
_PAGE_STORED = "                await self._session.pause(page)\n        del self._marks[number]"
_PAGE_COUNTED = (
    "                for _ in page.items:\n                    await self._session.note(self.write(number, mark))\n"
)
_LOADED = "        waiting = _Waiting(load, size, asyncio.get_running_loop().create_future())"
_KEPT = "        globals().setdefault('kept', []).append([bytes(each.raw) for each in load.records])\n"

MUTANTS = (
    broken(1, "what a comparison misses stays", ("engine/missed.py", _AWAY, "pass")),
    broken(
        1,
        "what a log tells as deleted stays",
        ("stream/compare.py", "changes.deletes.append(Overwrite(new, held))", "pass"),
    ),
    broken(
        2,
        "of a window, one page is read",
        ("engine/walking.py", _READ_ON, "page, await guard.follow(page, behind) and None, guard"),
    ),
    broken(
        3,
        "what is read again is emitted again",
        ("stream/compare.py", _SAME, "        if False:\n            changes.unchanged += 1"),
        ("stream/append.sql", "where r.raw_hash is distinct from u.raw_hash or", "where true or"),
    ),
    broken(
        4,
        "nothing is read a second time",
        ("engine/settled.py", _SETTLED_DUE, "if True:"),
        ("engine/changes.py", _SETTLED_BY_HEAD, "lo = head.position"),
    ),
    broken(5, "a window at the cap is not cut", ("engine/walking.py", "    if cut is None:", "    if True:")),
    broken(6, "a slice begins at its start again", ("engine/slices.py", "cursor = mark.cursor", "cursor = None")),
    broken(
        7,
        "changes wait for the backfill",
        ("engine/changes.py", "if head is None:\n", "if head is None or self._horizons.session.unread:\n"),
        ("engine/settled.py", _SETTLED_DUE, "if mark is None or head is None or self._horizons.session.unread:"),
    ),
    broken(
        8,
        "canceled subscriptions are not asked for",
        ("providers/stripe/collections.py", '(("status", "all"),)', '(("status", "active"),)'),
    ),
    broken(
        8,
        "inactive products are not asked for",
        (
            "providers/stripe/collections.py",
            '_plain("product", "/v1/products")',
            'Resource("product", "/v1/products", (("active", "true"),), windowed=True)',
        ),
    ),
    broken(
        9,
        "any setting reads everything again",
        (
            "engine/patch.py",
            'restart.backfills(conn, after, provider, added, "new", now)',
            'restart.backfills(conn, after, provider, after.collection_ids, "new", now)',
        ),
    ),
    broken(10, "what sweeps have seen is kept", ("engine/sweep.py", _FORGOTTEN, '"DELETE 0"')),
    broken(
        10,
        "slices that were read are kept",
        ("engine/slices.py", "self.write(number, mark, remove=True)]\n", "self.write(number, mark)]\n"),
    ),
    broken(
        11,
        "a comparison that breaks off counts as whole, and nothing is held back",
        ("engine/sweep.py", _BROKEN_OFF, _BROKEN_OFF_ENDS),
        ("engine/catch.py", "def trips(", "def trips(*_: object) -> bool:\n    return False\n\n\ndef trips_not("),
    ),
    broken(
        12,
        "the answer that comes last wins",
        ("stream/incoming.py", "    if version != other_version and version", "    return NEWER\n    if version"),
    ),
    broken(13, "refusals use up the tries", ("engine/transport.py", "refusals < _REFUSALS", "refusals < 3")),
    broken(13, "a Retry-After of zero is obeyed", ("engine/pace.py", "_LEAST_WAIT_S = 0.25", "_LEAST_WAIT_S = 0.0")),
    broken(
        14,
        "each process counts by itself",
        ("engine/pace.py", "return limits.counted(access,", "return limits.counted(_own(access, self),"),
        (
            "engine/pace.py",
            "\n\nclass Pace:",
            "\n\ndef _own(access, pace):\n"
            "    import dataclasses\n"
            "    return dataclasses.replace(access, account_hash=access.account_hash + str(id(pace)).encode())\n"
            "\n\nclass Pace:",
        ),
    ),
    broken(15, "a turn that is taken is taken again", ("vault/tokens.py", "    if taken:\n", "    if False:\n")),
    broken(
        16,
        "the successor of a refresh token is not stored",
        ("vault/tokens.py", "learned = dict(minted.learned)", "learned = {}"),
    ),
    broken(17, "what was read is kept in memory", ("engine/ingest.py", _LOADED, _KEPT + _LOADED)),
    broken(18, "each record has a write of its own", ("engine/slices.py", _PAGE_STORED, _PAGE_COUNTED + _PAGE_STORED)),
    broken(
        19,
        "large numbers become floating ones",
        (
            "stream/ready.py",
            "        raws.append(item.raw)",
            "        import json\n        raws.append(json.dumps(json.loads(item.raw, parse_int=float)).encode())",
        ),
    ),
    broken(
        19,
        "a field that was not there before is left out",
        (
            "stream/ready.py",
            "        raws.append(item.raw)",
            "        import json\n"
            "        held = {k: v for k, v in json.loads(item.raw).items() if not isinstance(v, list)}\n"
            "        raws.append(json.dumps(held).encode())",
        ),
    ),
    broken(
        20,
        "a process takes 300 MB more",
        ("server.py", "\nasync def serve(", "\nTHERE = b'1' * 300_000_000\n\n\nasync def serve("),
    ),
    broken(
        21, "the lag is not shown", ("engine/housekeeping.py", "metrics.READ_LAG.labels(provider).set(lag)", "pass")
    ),
    broken(
        22,
        "max_ack_pending holds nobody back",
        (
            "stream/consumers/state.py",
            "return max(0, self.settings.max_ack_pending - len(self.messages))",
            "return 100_000",
        ),
    ),
    broken(
        22,
        "an append waits until nobody has anything out",
        (
            "engine/ingest.py",
            _LOADED,
            "        while await self._db.ingest.fetchval('select count(*) from deliveries'):\n"
            "            await asyncio.sleep(0.1)\n" + _LOADED,
        ),
    ),
    broken(
        23,
        "a record without its time ends the run",
        ("providers/stripe/objects.py", "    if key is None:\n", "    if key is None or born is None:\n"),
    ),
    broken(24, "a raised age limit reads nothing", ("engine/patch.py", "    if widened:\n", "    if False:\n")),
    broken(
        25,
        "what is read is taken for final at once",
        (
            "engine/barrier.py",
            "return reach.settled_through is not None and reach.settled_through >= mark",
            "return reach.settled_through is not None",
        ),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", type=int)
    chosen = parser.parse_args().numbers
    print("| complaint | what is broken | noticed |\n|---|---|---|", flush=True)
    wanted = [mutant for mutant in MUTANTS if not chosen or mutant.number in chosen]
    for mutant in wanted:
        if missing := mutant.missing():
            sys.exit(f"{mutant.number}, {mutant.what}: what is to be changed is no longer there: {missing}")
    survived = 0
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for mutant, noticed in zip(wanted, pool.map(_noticed, wanted), strict=True):
            survived += not noticed
            print(f"| {mutant.number} | {mutant.what} | {'yes' if noticed else 'NO'} |", flush=True)
    return 1 if survived else 0


def _noticed(mutant: Mutant) -> bool:
    """Whether the complaint's test fails with the mutant."""
    with tempfile.TemporaryDirectory(prefix="headrace-mutant-") as folder:
        shutil.copytree(ROOT / "src", Path(folder) / "src")
        for file, old, new in mutant.edits:
            path = Path(folder) / "src/headrace" / file
            path.write_text(path.read_text().replace(old, new, 1))
        tests = sorted(str(path) for path in Path(__file__).parent.glob(f"test_{mutant.number:02}_*.py"))
        environment = {**os.environ, "PYTHONPATH": str(Path(folder) / "src")}
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
        try:
            run = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST_S
            )
        except subprocess.TimeoutExpired:
            return True
    if run.returncode not in (0, 1) or "\nERROR " in run.stdout:
        sys.exit(f"{mutant.number}: pytest ended with {run.returncode}: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    return run.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
