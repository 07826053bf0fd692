"""dlt: its rest_api source into PostgreSQL."""

import os
from collections.abc import Sequence

from bench.peers.peer import Command, program_path


class Dlt(Command):
    name = "dlt"
    environment = "dlt"
    schema = "dlt_stripe"
    own = ("_dlt_",)

    def command(self) -> Sequence[str]:
        return [self.home.program("python"), program_path(self.environment, "load.py")]

    def env(self) -> dict[str, str]:
        told = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
        return {**super().env(), **told, "NORMALIZE__WORKERS": str(os.cpu_count() or 1)}
