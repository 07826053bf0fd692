"""Airbyte's CDK: a declarative source, its messages written by PyAirbyte into PostgreSQL, or to a file."""

from collections.abc import Sequence

from bench.peers.peer import Command, program_path


class Airbyte(Command):
    name = "PyAirbyte"
    environment = "airbyte"
    schema = "airbyte_copy"
    own = ("_airbyte_", "updated", "is_deleted")
    deleted = "coalesce(is_deleted, false)"

    def command(self) -> Sequence[str]:
        return [self.home.program("python"), "-W", "ignore", program_path(self.environment, "sync.py"), "postgres"]

    def env(self) -> dict[str, str]:
        quiet = {"DO_NOT_TRACK": "1", "AIRBYTE_OFFLINE_MODE": "1", "NO_UI": "1"}
        return {**super().env(), **quiet, "AIRBYTE_CACHE_ROOT": str(self._state), "AIRBYTE_TEMP_DIR": str(self._state)}


class AirbyteOutput(Airbyte):
    """The source alone, its messages written to a file: no copy, and so no part of what asks for one."""

    name = "Airbyte CDK, to a file"
    keeps = False

    def command(self) -> Sequence[str]:
        program = program_path(self.environment, "sync.py")
        return [self.home.program("python"), "-W", "ignore", program, "output", str(self._state / "messages.jsonl")]
