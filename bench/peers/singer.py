"""Singer: a tap of the Meltano SDK, piped into MeltanoLabs' target for PostgreSQL."""

from collections.abc import Sequence
from shlex import quote

import orjson

from bench.peers.peer import Command, program_path


class Singer(Command):
    name = "Singer SDK"
    environment = "singer"
    schema = "singer"
    own = ("_sdc_",)

    def command(self) -> Sequence[str]:
        """Loaded by COPY, records not validated, what is no longer there deleted."""
        tap, target = self._state / "tap.json", self._state / "target.json"
        tap.write_bytes(orjson.dumps({"emit_activate_version_messages": True}))
        url = self.ground.database_url.replace("postgresql:", "postgresql+psycopg:")
        settings = {"sqlalchemy_url": url, "use_copy": True, "hard_delete": True, "validate_records": False}
        target.write_bytes(orjson.dumps({**settings, "default_target_schema": self.schema}))
        source = [self.home.program("python"), program_path(self.environment, "tap.py"), "--config", str(tap)]
        loader = [self.home.program("target-postgres"), "--config", str(target)]
        # Without pipefail a tap that failed would pass for one that has read everything.
        return ["bash", "-o", "pipefail", "-c", f"{' '.join(map(quote, source))} | {' '.join(map(quote, loader))}"]

    def env(self) -> dict[str, str]:
        return {**super().env(), "TAP_STRIPE_LOGLEVEL": "WARNING", "TARGET_POSTGRES_LOGLEVEL": "WARNING"}
