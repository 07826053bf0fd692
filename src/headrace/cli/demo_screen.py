"""What the demo shows: each change as it arrives, and how long it took from the provider to here."""

import statistics
import time
from collections import deque

from rich.console import Console

from headrace.client import Record


class Screen:
    """Lines on standard output. Until the first copy is complete it shows how far it is, then every change."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._copied = 0
        self._complete = False
        self._shown_at = 0.0
        self._changed_at: dict[str, float] = {}
        self._latencies_s: deque[float] = deque(maxlen=10_000)
        self.shown = 0

    def introduce(self, url: str, token: str, provider_url: str) -> None:
        self._began = self._shown_at = time.monotonic()
        self._console.print(
            f"The console is at [bold]{url}/[/bold]: log in with the token {token}. The API's reference is {url}/docs\n"
            f"A Stripe account that keeps changing is at {provider_url}\n\n"
            f"To look around in another shell:\n"
            f"    export HEADRACE_URL={url} HEADRACE_API_TOKEN={token}\n"
            f'    curl -H "Authorization: Bearer $HEADRACE_API_TOKEN" $HEADRACE_URL/v1/syncs\n'
            f"    .venv/bin/headrace syncs watch 'Demo account'\n\n"
            f"Ctrl-C ends it and removes all of it.\n"
        )

    def changed(self, object_id: str) -> None:
        """The provider changed an object, just now."""
        self._changed_at.setdefault(object_id, time.monotonic())

    def arrived(self, record: Record) -> None:
        """The consumer was given a record."""
        now = time.monotonic()
        changed_at = self._changed_at.pop(record["upstream_id"], None)
        if not self._complete:
            self._copied += 1
            if now - self._shown_at > 0.5:
                self._shown_at = now
                self._console.print(f"copying the account: {self._copied:,} so far")
            return
        if changed_at is None:
            return
        self._latencies_s.append(now - changed_at)
        self.shown += 1
        what = "deleted" if record["deleted"] else "changed"
        stamp = time.strftime("%H:%M:%S")
        self._console.print(
            f"{stamp}  {what}  {record['collection_id']:<32} {record['upstream_id']:<32} "
            f"[green]{1000 * (now - changed_at):5.0f} ms[/green] after it happened"
        )

    def complete(self) -> None:
        """Every object of the account is in the stream."""
        self._complete = True
        seconds = time.monotonic() - self._began
        self._console.print(
            f"\n[bold]The whole account has arrived[/bold], after {seconds:.1f} s. Changes, as they come:\n"
        )

    def summary(self, changes_expected: bool) -> bool:
        """The last words; whether the demo showed what it is to show."""
        if not self._complete:
            self._console.print(f"\nThe account had not arrived whole: {self._copied:,} records had.")
            return False
        if not self._latencies_s:
            self._console.print("\nNo change arrived." if changes_expected else "\nThe account arrived whole.")
            return not changes_expected
        latencies = sorted(self._latencies_s)
        self._console.print(
            f"\n{self.shown:,} changes arrived; from the provider to the consumer in "
            f"{1000 * statistics.median(latencies):.0f} ms at the median, "
            f"{1000 * latencies[int(0.95 * (len(latencies) - 1))]:.0f} ms for 95 % of them."
        )
        return True
