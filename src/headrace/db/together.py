"""Several statements in one trip to the server and one transaction, each prepared on the connection beforehand.

asyncpg sends one prepared statement at a time, or a text of several that the server parses and plans anew each time.
For a few small writes the planning costs twice what they do. `EXECUTE` in such a text has neither price.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping

import asyncpg

from headrace.db.pool import Conn
from headrace.db.queries import Inlined, inline

_PARAMETER = re.compile(r"\$\d+")


class Together:
    """Statements by name, which is a prefix and the name given here; make one for each set of them, at import.

    What they take is ids, numbers, moments, lists of the first two, and None (`db.queries.inline`); the types of the
    parameters must be clear from the statement.
    """

    def __init__(self, prefix: str, statements: Mapping[str, str]) -> None:
        self._prepare = [f"prepare {prefix}_{name} as {statement}" for name, statement in statements.items()]
        self._calls = {name: _call(f"{prefix}_{name}", statement) for name, statement in statements.items()}
        self._prepared_on: set[int] = set()

    def call(self, name: str, *values: Inlined) -> str:
        """The text that runs a statement, for `run`."""
        return inline(self._calls[name], *values)

    async def run(self, conn: Conn, texts: Iterable[str]) -> None:
        """Run texts of `call`, and plain ones among them, in order and in one trip: in the transaction that `conn`
        is in, or in one of their own. When one fails nothing of it is done, and its error is raised."""
        within = conn.is_in_transaction()
        await self.ready(conn)
        text = ";\n".join(texts)
        try:
            await conn.execute(text)
        except asyncpg.InvalidSQLStatementNameError:
            if within:
                raise
            if conn.is_in_transaction():
                await conn.execute("rollback")
            self._prepared_on.discard(conn.get_server_pid())  # another process of the server had this number before
            await self.ready(conn)
            await conn.execute(text)

    async def ready(self, conn: Conn) -> None:
        """Prepare what this connection does not know yet: one trip a statement, once in the connection's life."""
        pid = conn.get_server_pid()
        if pid in self._prepared_on:
            return
        for statement in self._prepare:
            with contextlib.suppress(asyncpg.DuplicatePreparedStatementError):  # an earlier try was cut short
                await conn.execute(statement)
        self._prepared_on.add(pid)


def _call(name: str, statement: str) -> str:
    number = max((int(each[1:]) for each in _PARAMETER.findall(statement)), default=0)
    return f"execute {name}({', '.join(f'${place}' for place in range(1, number + 1))})"
