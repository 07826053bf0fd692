"""@supabase/stripe-sync-engine: its backfill, and its webhooks for what changes."""

import asyncio
from collections.abc import Sequence

from bench.peers.peer import Command, Failed, program_path

EVENTS = [
    *(f"customer.{verb}" for verb in ("created", "deleted", "updated")),
    *(f"invoice.{verb}" for verb in ("created", "deleted", "finalized", "paid", "updated", "voided")),
    "invoice.marked_uncollectible",
]
"""What it handles of customers and invoices, and the provider sends; any other event it would refuse."""


class SyncEngine(Command):
    name = "stripe-sync-engine"
    live = True
    environment = "sync_engine"
    schema = "stripe"
    own = ("last_synced_at", "updated_at", "deleted")
    deleted = "coalesce((to_jsonb(t) ->> 'deleted')::boolean, false)"

    def command(self) -> Sequence[str]:
        return self._node("backfill")

    def _node(self, *arguments: str) -> Sequence[str]:
        # A module is looked for beside the program that imports it: so the program lies in the environment.
        placed = self.home.folder / "sync.mjs"
        with open(program_path(self.environment, "sync.mjs")) as source:
            placed.write_text(source.read())
        return ["node", str(placed), *arguments]

    async def follow(self) -> None:
        """Listen for webhooks, and have the provider send them."""
        port, secret = self._state / "port", self._state / "secret"
        program = self.run(self._node("listen", str(port), str(secret)))
        while not (port.exists() and port.read_text()):
            if program.code is not None:
                raise Failed(f"ended with {program.code}: {program.last_words()}")
            await asyncio.sleep(0.05)
        url = f"http://127.0.0.1:{port.read_text()}/webhooks"
        secret.write_text(await self.ground.provider.register(url, EVENTS))

    def env(self) -> dict[str, str]:
        return {**super().env(), "PEER_FILL": "1"}
