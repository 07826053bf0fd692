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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
STREAM = "src/headrace/stream"
_LONGEST_S = 300.0


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in `file`, and so do the pairs of `also`; `promise` is what is broken by that."""

    name: str
    promise: str
    file: str
    old: str
    new: str
    also: tuple[tuple[str, str], ...] = ()

    @property
    def laws(self) -> tuple[str, ...]:
        """The tests that are about it: laws first, then examples."""
        if self.name.startswith("event"):
            return "test_event_law.py", "test_events.py"
        if self.file == "retention.sql":
            return ("test_purge_and_retention.py",)
        if self.file in ("append.sql", "incoming.py", "compare.py"):
            return "test_order_law.py", "test_append.py"
        return "test_consumer_law.py", "test_consume.py", "test_turns.py"


_STATE, _TURN, _STORAGE = (f"consumers/{name}.py" for name in ("state", "turn", "storage"))
_RECORDS, _EVENTS, _TURN_SQL = (f"consumers/{name}.sql" for name in ("records", "events", "turn"))

# Not here: that an ack looks at the version, and at the generation. A turn gives a record out once and turns are never
# numbered twice, so both are told by the turn; the generation is for a database that was put back (tests/cli).
MUTANTS = (
    Mutant(
        "position-again",
        "nothing acked comes again",
        _RECORDS,
        "r.updated_idx > $2 and r.updated_idx <= $3",
        "r.updated_idx >= $2 and r.updated_idx <= $3",
    ),
    Mutant(
        "position-skips",
        "everything is delivered",
        _TURN,
        "scan.position = entry.updated_idx",
        "scan.position = entry.updated_idx + 1",
    ),
    Mutant("window-skips", "everything is delivered", _TURN, "min(window.head, upper)", "window.head + 1"),
    Mutant(
        "purged-new",
        "a purge takes messages away",
        _RECORDS,
        "      and not exists (\n        select from purges p",
        "      and true or not exists (\n        select from purges p",
    ),
    Mutant(
        "purged-due",
        "a purge takes messages away",
        _RECORDS,
        "where r.updated_idx is not null and not exists (\n  select from purges p",
        "where r.updated_idx is not null and true or not exists (\n  select from purges p",
    ),
    Mutant("late-ack", "a token belongs to one delivery", _STATE, "or message.group.turn != delivery.turn", "or False"),
    Mutant(
        "newer-forgotten",
        "the newest version comes after the ack",
        _STATE,
        "        if not message.waiting:\n            message.waiting = idx\n",
        "        if not message.waiting:\n            message.waiting = 0\n",
    ),
    Mutant(
        "newer-dropped",
        "the newest version comes after the ack",
        _STATE,
        "        if not message.waiting:\n            self.drop(message)",
        "        if True:\n            self.drop(message)",
    ),
    Mutant(
        "two-at-a-time",
        "never two deliveries of a record",
        _TURN,
        "            if message is not None:\n                state.pass_newer",
        "            if False and message is not None:\n                state.pass_newer",
    ),
    Mutant(
        "one-more-delivery",
        "max_deliver",
        _STATE,
        "0 < self.settings.max_deliver <= message.count",
        "0 < self.settings.max_deliver < message.count",
    ),
    Mutant(
        "count-stands",
        "max_deliver",
        _STATE,
        "message.count = message.count + 1 if same else 1",
        "message.count = message.count if same else 1",
    ),
    Mutant(
        "spent-pending",
        "num_pending is exact",
        "consumers/source.py",
        "return self.idx == self.message.idx and state.exhausted(self.message)",
        "return False",
    ),
    Mutant(
        "no-room",
        "max_ack_pending",
        _STATE,
        "return max(0, self.settings.max_ack_pending - len(self.messages))",
        "return 1000",
    ),
    Mutant(
        "no-room-again",
        "max_ack_pending",
        _STATE,
        "min(len(self.due), self.settings.max_ack_pending - len(self.messages) + len(self.due))",
        "len(self.due)",
    ),
    Mutant(
        "stale-state",
        "max_ack_pending across processes",
        _TURN_SQL,
        "and (p.generation, p.seq) > ($3, $4)",
        "and false and (p.generation, p.seq) > ($3, $4)",
    ),
    Mutant(
        "last-turn-unasked",
        "a turn that was overtaken is begun anew",
        _STORAGE,
        'begun = [*_unflushed(flushed=flushed), _TURN.call("lock", *_who(key)), check]',
        'begun = [*_unflushed(flushed=flushed), _TURN.call("lock", *_who(key))]',
    ),
    Mutant(
        "lock-left-out",
        "one turn at a time",
        _STORAGE,
        'begun = [*_unflushed(flushed=flushed), _TURN.call("lock", *_who(key)), check]',
        "begun = [*_unflushed(flushed=flushed), check]",
    ),
    Mutant(
        "mark-unread", "a turn that a crash took is not taken for another", _TURN_SQL, "l.mark = $5", "$5::bigint >= 0"
    ),
    Mutant(
        "lost-groups",
        "what is out is known to every process",
        _STATE,
        "return next(iter(self._groups), self.turn * _PARTS)",
        "return self.turn * _PARTS",
    ),
    Mutant(
        "touched-unwritten",
        "what waits is known to every process",
        _STATE,
        "        if group.group_id not in self.new:\n            self.touched",
        "        if False:\n            self.touched",
    ),
    Mutant(
        "ack-wait-at-once",
        "the ack wait",
        _STATE,
        "group = self._open(self.turn, True, now + self.settings.ack_wait)",
        "group = self._open(self.turn, True, now)",
    ),
    Mutant(
        "extend-nothing",
        "extend begins the wait anew",
        _STATE,
        "self._move(message, group.turn, True, now + self.settings.ack_wait, moved)",
        "self._move(message, group.turn, True, group.due_at, moved)",
    ),
    Mutant(
        "nack-ignores-delay",
        "nack with delay",
        _STATE,
        "self._move(message, message.group.turn, False, now + delay, moved)",
        "self._move(message, message.group.turn, False, now, moved)",
    ),
    Mutant("nack-never-patient", "nacks back off", _STATE, "if message.nacks > _PATIENT_NACKS:", "if False:"),
    Mutant(
        "replay-nothing",
        "replay",
        _STATE,
        "            self.messages[record_id] = group.messages[record_id] = message\n\n    def hand_out",
        "            del message\n\n    def hand_out",
    ),
    Mutant(
        "dead-stays",
        "a newer version takes the place of a dead letter",
        _TURN,
        "if state.dead and scan.fresh and not",
        "if False and not",
    ),
    Mutant(
        "term-acks",
        "term sets aside",
        _STATE,
        "        self.dead_letters.append(DeadLetter(message.record_id, message.idx, message.count, reason))\n",
        "",
    ),
    Mutant(
        "held-back-pending",
        "num_pending is exact",
        "consumers/source.py",
        "return max(0, past - held_back), held_back",
        "return past, held_back",
    ),
    Mutant(
        "filter-new",
        "filters",
        _RECORDS,
        "and ($8::text[] is null or r.collection_id = any ($8))",
        "and ($8::text[] is null or true)",
    ),
    Mutant(
        "filter-due",
        "a filter change applies at delivery",
        "filters.py",
        "and (self.collection_ids is None or collection_id in self.collection_ids)",
        "and True",
    ),
    Mutant(
        "unlocked-numbers",
        "numbers in commit order",
        "append.sql",
        "select event_days from stream_locks where stream_id = $1 for update",
        "select event_days from stream_locks where stream_id = $1",
    ),
    Mutant(
        "older-version-wins", "which version wins", "append.sql", "then excluded.version > records.version", "then true"
    ),
    Mutant(
        "older-moment-wins",
        "which version wins",
        "incoming.py",
        "    if other_as_of >= as_of + slack:\n        return OLDER",
        "    if other_as_of >= as_of + slack:\n        return NEWER",
    ),
    Mutant(
        "weak-wins",
        "eventual never replaces strong",
        "compare.py",
        "    return UNCLEAR if found == uncertain else found",
        "    return found",
    ),
    Mutant(
        "unchanged-emitted",
        "unchanged is not emitted",
        "compare.py",
        "same = over.canon_hash == (",
        "same = False and over.canon_hash == (",
    ),
    Mutant(
        "late-writer",
        "a late writer is refused",
        "append.sql",
        "epoch = $3 and revision = $4 and not deleted",
        "epoch = epoch + 0 * $3 and revision = revision + 0 * $4 and not deleted",
    ),
    Mutant(
        "purge-takes-more",
        "what comes again after a purge stays",
        "retention.sql",
        "where r.stream_id = $1 and r.sync_id = $2 and ($3::text is null or r.collection_id = $3) and r.updated_idx <= $4\n",
        "where r.stream_id = $1 and r.sync_id = $2 and ($3::text is null or r.collection_id = $3)\n",
        also=(
            ("record_id = any ($2::uuid[]) and updated_idx <= $3", "record_id = any ($2::uuid[]) and $3::bigint > 0"),
        ),
    ),
    Mutant(
        "purge-walks-on",
        "a purge leaves nothing",
        "retention.sql",
        "(r.collection_id, r.updated_idx) > ($6, $7::bigint)",
        "r.updated_idx > $7::bigint",
    ),
    Mutant(
        "age-of-the-younger",
        "only what is too old goes by age",
        "retention.sql",
        "greatest(",
        "least(",
    ),
    Mutant(
        "event-skipped",
        "each event is delivered",
        _STATE,
        "            message.idx = message.waiting",
        "            message.idx = message.waiting + 1",
    ),
    Mutant(
        "event-behind-lost",
        "each event is delivered",
        _TURN,
        "scan.behind.setdefault(entry.record_id, entry.updated_idx)",
        "pass",
    ),
    Mutant("event-not-next", "each event is delivered", _EVENTS, "r.next_idx as waiting", "null::bigint as waiting"),
    Mutant(
        "event-of-another",
        "an event tells what was before",
        "events/events.sql",
        "where r.updated_idx is not distinct from u.updated_idx",
        "",
    ),
)


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
        path = Path(folder) / STREAM / mutant.file
        text = path.read_text()
        for old, new in ((mutant.old, mutant.new), *mutant.also):
            if old not in text:
                sys.exit(f"{mutant.name}: {mutant.file} no longer says what is to be changed: {old!r}")
            text = text.replace(old, new)
        path.write_text(text)
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
