"""What the comparison asks of a peer: to bring its copy up to the provider's state, and to show what it holds."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import orjson

from bench.peers.environments import ENVIRONMENTS, Environment
from bench.peers.ground import Ground
from bench.peers.program import Program
from bench.peers.provider import COLLECTIONS, KEY, VERSION
from bench.peers.rightness import Fields


class Failed(Exception):
    """The peer ended with an error: its own last words."""


class Peer(ABC):
    """One peer on one ground.

    `live` says that it follows the provider by itself once `follow` was called; one that does not is started again.
    `keeps` is false of one that makes no copy, so that there is nothing to compare.
    """

    name: ClassVar[str]
    live: ClassVar[bool] = False
    keeps: ClassVar[bool] = True

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    @abstractmethod
    async def start(self) -> None:
        """Begin to bring the copy up to date: the first time all of it."""

    @abstractmethod
    async def done(self) -> None:
        """Wait until it says that this is done. Raises Failed."""

    @abstractmethod
    async def kill(self) -> None:
        """kill -9 to everything that it runs; `start` goes on from there."""

    async def follow(self) -> None:  # noqa: B027 - most have no way to
        """From now on be told of changes, where the peer has a way to."""

    @abstractmethod
    def pids(self) -> Iterable[int]:
        """The roots of its processes."""

    @abstractmethod
    def busy_s(self) -> float:
        """Seconds of processor time so far."""

    @abstractmethod
    async def columns(self, collection: str) -> Collection[str] | None:
        """The fields that the copy keeps; None when it keeps whole objects."""

    @abstractmethod
    def rows(self, collection: str, ids: Sequence[str] | None = None) -> AsyncIterator[tuple[str, Fields]]:
        """What the copy holds: id and fields of all objects, or of these."""

    async def close(self) -> None:
        """End what it runs."""
        await self.kill()


class Command(Peer):
    """A peer that is a command, run again for each update, with tables of one column a field.

    `schema` is where its tables are, `own` begins the names of the columns that are its own, and `deleted` is true of a
    row that it keeps of an object that it knows to be deleted.
    """

    environment: ClassVar[str]
    schema: ClassVar[str]
    own: ClassVar[tuple[str, ...]]
    deleted: ClassVar[str] = "false"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._programs: list[Program] = []
        self._state = ground.folder / "state"
        self._state.mkdir()

    @property
    def home(self) -> Environment:
        return ENVIRONMENTS[self.environment]

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command of one run."""

    def env(self) -> dict[str, str]:
        """The variables that every peer's program reads."""
        return {
            "PEER_URL": self.ground.provider.url,
            "PEER_KEY": KEY,
            "PEER_VERSION": VERSION,
            "PEER_DATABASE": self.ground.database_url,
            "PEER_STATE": str(self._state),
            "PEER_SCHEMAS": str(self.ground.folder / "schemas.json"),
        }

    def run(self, command: Sequence[str]) -> Program:
        folder = self.ground.folder
        program = Program(command, folder=folder, env=self.env(), log=folder / f"{len(self._programs)}.log")
        self._programs.append(program)
        return program

    async def start(self) -> None:
        path = self.ground.folder / "schemas.json"
        if not path.exists():
            path.write_bytes(orjson.dumps(await _schemas(self.ground)))
        self._latest = self.run(self.command())

    async def done(self) -> None:
        program = self._latest
        if code := await program.ended():
            raise Failed(f"ended with {code}: {program.last_words()}")

    async def kill(self) -> None:
        for program in self._programs:
            await program.kill()

    def pids(self) -> Iterable[int]:
        return [program.pid for program in self._programs if program.code is None]

    def busy_s(self) -> float:
        return sum(program.busy_s() for program in self._programs)

    async def columns(self, collection: str) -> Collection[str] | None:
        conn = await asyncpg.connect(self.ground.database_url)
        try:
            found = await conn.fetch(
                "select column_name from information_schema.columns where table_schema = $1 and table_name = $2",
                self.schema,
                collection,
            )
        finally:
            await conn.close()
        return {row[0] for row in found if not row[0].startswith(self.own)}

    async def rows(self, collection: str, ids: Sequence[str] | None = None) -> AsyncIterator[tuple[str, Fields]]:
        conn = await asyncpg.connect(self.ground.database_url)
        try:
            with suppress(asyncpg.UndefinedTableError):
                query = f"select id, to_jsonb(t)::text from {self.schema}.{collection} t where not ({self.deleted})"
                chosen: list[Any] = []
                if ids is not None:
                    query += " and id = any ($1::text[])"
                    chosen = [list(ids)]
                async with conn.transaction():
                    async for row in conn.cursor(query, *chosen, prefetch=1000):
                        yield row[0], orjson.loads(row[1])
        finally:
            await conn.close()


_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


async def _schemas(ground: Ground) -> dict[str, Any]:
    """The JSON Schema of each collection, as Singer and Airbyte want it: what the fields are in the first objects."""
    schemas = {}
    for collection in COLLECTIONS:
        types: dict[str, set[str]] = {}
        async for raw in ground.provider.first(collection):
            for name, value in orjson.loads(raw).items():
                types.setdefault(name, set()).update({_TYPES[type(value)]} if value is not None else set())
        properties = {name: {"type": ["null", *(sorted(found) or ["string"])]} for name, found in types.items()}
        schemas[collection] = {"type": "object", "properties": properties}
    return schemas


def program_path(environment: str, name: str) -> str:
    """The program of a peer, as it lies beside its lock file."""
    return str(Path(__file__).parent / "environments" / environment / name)
