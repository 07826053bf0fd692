"""The keyring: organisations' data keys wrapped by the master keys, and the instance's pepper.

What is secret is sealed with a data key of its organisation (`org_keys`), which a master key wraps. Changing the master
key therefore re-wraps some bytes an organisation and touches no secret:

1. every process is restarted with HEADRACE_SECRET_KEY=old,new (both decrypt),
2. every process is restarted with HEADRACE_SECRET_KEY=new,old (new encrypts),
3. `headrace keys rotate`,
4. `headrace keys status` says that old wraps nothing more: restart with HEADRACE_SECRET_KEY=new.

At each step processes of the one before go on working beside those that were restarted.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Self
from uuid import UUID

from headrace.clock import DatabaseClock, steady
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.ids import uuid7
from headrace.settings import Settings
from headrace.vault import master
from headrace.vault.master import KeyProblem
from headrace.vault.sealing import KEY_BYTES, CannotOpen, Key, identity, key_id

SQL = load(__package__, "keys.sql")
_ADD_FACT, _FACT, _REPLACE_FACT = SQL.add_fact, SQL.fact, SQL.replace_fact
_ACTIVE_KEY, _KEY, _ADD_KEY = SQL.active_key, SQL.key, SQL.add_key
_KEYS_OF_OTHER_MASTERS, _REWRAP, _COUNT_BY_MASTER = SQL.keys_of_other_masters, SQL.rewrap, SQL.count_by_master

_CHECK, _PEPPER = "master_key_check", "pepper"
_KEEP_S = 300.0
"""How long an unwrapped data key is used before its row is read again: a removed one opens nothing after this."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """Which master keys there are and what each still wraps; ids only.

    `given` are the master keys of this process, the one that encrypts first; `wraps` the number of things in the
    database that each key wraps; `missing` those in the database that this process was not given; `removable` those
    that it was given and that wrap nothing, the first one left out.
    """

    given: tuple[str, ...]
    wraps: Mapping[str, int]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.wraps) - set(self.given)))

    @property
    def removable(self) -> tuple[str, ...]:
        return tuple(name for name in self.given[1:] if not self.wraps.get(name))


class Keyring:
    """Seals and opens what is secret. One a process; safe to use from any number of tasks.

    `check` is called once before all else: it proves the master key and loads the pepper. No repr shows a key.
    """

    def __init__(
        self,
        masters: tuple[Key, ...],
        *,
        now: Callable[[], datetime] | None = None,
        monotonic: Callable[[], float] = steady,
    ) -> None:
        self._masters = {key.id.hex: key for key in masters}
        self._primary = masters[0]
        self._now = now or DatabaseClock().now
        self._monotonic = monotonic
        self._unwrapped: dict[tuple[UUID, UUID], tuple[Key, float]] = {}
        self._clear_at = 0.0
        self._pepper: bytes | None = None

    @classmethod
    def load(cls, settings: Settings, data_dir: Path | None) -> Self:
        """The keyring of this process (see `master.load`). KeyProblem when there is no usable master key."""
        return cls(master.load(settings, data_dir))

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._masters)})"

    async def check(self, conn: Conn) -> None:
        """Prove that these master keys are the ones of this database, and load the pepper.

        On a database that is new, both the check value and the pepper are made; of processes that start at once, one
        writes them and all read the same. Raises KeyProblem when a key that is needed was not given.
        """
        await conn.execute(_ADD_FACT, _CHECK, self._seal_fact(_CHECK, b"headrace"))
        await self._fact(conn, _CHECK)
        if missing := (await self.status(conn)).missing:
            raise _missing(missing)
        await conn.execute(_ADD_FACT, _PEPPER, self._seal_fact(_PEPPER, secrets.token_bytes(KEY_BYTES)))
        self._pepper = await self._fact(conn, _PEPPER)

    async def seal(self, conn: Conn, org_id: UUID, aad: bytes, plaintext: bytes) -> bytes:
        """Encrypt with the organisation's active data key, made now if it has none.

        `aad` is the identity of the row that will hold it (`sealing.identity`); only with the same does it open.
        """
        key = await self._active(conn, org_id)
        return key.seal(_within(org_id, aad), plaintext)

    async def open(self, conn: Conn, org_id: UUID, aad: bytes, sealed: bytes) -> bytes:
        """Decrypt. CannotOpen when the value was changed, or is another row's or another organisation's."""
        key = await self._by_id(conn, org_id, key_id(sealed))
        return key.open(_within(org_id, aad), sealed)

    def keyed_hash(self, purpose: str, *parts: bytes) -> bytes:
        """HMAC-SHA256 with the instance's pepper: the same in every process, and nothing to anybody without it."""
        if self._pepper is None:
            raise RuntimeError("Keyring.check comes before the first keyed_hash: it loads the pepper")
        return hmac.digest(self._pepper, identity(purpose, *parts), sha256)

    async def rotate(self, conn: Conn) -> int:
        """Wrap everything with the first master key that another one wraps; returns how many data keys that were.

        Each key is re-wrapped by a statement of its own: the call may be cut short and repeated, and others go on
        reading and writing meanwhile. Raises KeyProblem, having done what it could, when a key that is needed was not
        given.
        """
        if missing := (await self.status(conn)).missing:
            raise _missing(missing)
        rewrapped = 0
        primary = self._primary.id.hex
        while rows := await conn.fetch(_KEYS_OF_OTHER_MASTERS, primary, _CHUNK):
            for row in rows:
                key = self._unwrap(row["org_id"], row["key_id"], row["master_key_id"], row["wrapped"])
                wrapped = self._wrap(row["org_id"], key)
                done = await conn.execute(_REWRAP, row["org_id"], row["key_id"], row["master_key_id"], primary, wrapped)
                rewrapped += done == "UPDATE 1"
        for name in (_PEPPER, _CHECK):
            held = await conn.fetchval(_FACT, name)
            if held is not None and key_id(held) != self._primary.id:
                await conn.execute(_REPLACE_FACT, name, held, self._seal_fact(name, self._open_fact(name, held)))
        return rewrapped

    def new_data_key(self, org_id: UUID) -> tuple[UUID, str, bytes]:
        """(key id, master key id, wrapped key) of a data key that is nowhere yet."""
        made = Key(uuid7(), secrets.token_bytes(KEY_BYTES))
        return made.id, self._primary.id.hex, self._wrap(org_id, made)

    async def status(self, conn: Conn) -> KeyStatus:
        """Which master keys wrap what."""
        wraps = {row["master_key_id"]: int(row["keys"]) for row in await conn.fetch(_COUNT_BY_MASTER)}
        for name in (_CHECK, _PEPPER):
            held = await conn.fetchval(_FACT, name)
            if held is not None:
                wraps[key_id(held).hex] = wraps.get(key_id(held).hex, 0) + 1
        return KeyStatus(tuple(self._masters), wraps)

    async def _active(self, conn: Conn, org_id: UUID) -> Key:
        # Asked of the database each time: a secret must never be sealed with a key that was retired meanwhile.
        row = await conn.fetchrow(_ACTIVE_KEY, org_id)
        if row is None:
            await conn.execute(_ADD_KEY, org_id, *self.new_data_key(org_id), self._now())
            row = await conn.fetchrow(_ACTIVE_KEY, org_id)
            if row is None:
                raise CannotOpen("the organisation's data key is not there; repeat the request")
        return self._kept(org_id, row["key_id"]) or self._keep(
            org_id, self._unwrap(org_id, row["key_id"], row["master_key_id"], row["wrapped"])
        )

    async def _by_id(self, conn: Conn, org_id: UUID, data_key_id: UUID) -> Key:
        if (kept := self._kept(org_id, data_key_id)) is not None:
            return kept
        row = await conn.fetchrow(_KEY, org_id, data_key_id)
        if row is None:
            raise CannotOpen("the data key of a sealed value is not this organisation's, or was removed")
        return self._keep(org_id, self._unwrap(org_id, data_key_id, row["master_key_id"], row["wrapped"]))

    def _kept(self, org_id: UUID, data_key_id: UUID) -> Key | None:
        key, until = self._unwrapped.get((org_id, data_key_id), (None, 0.0))
        return key if self._monotonic() < until else None

    def _keep(self, org_id: UUID, key: Key) -> Key:
        now = self._monotonic()
        if now >= self._clear_at:
            self._unwrapped = {place: kept for place, kept in self._unwrapped.items() if now < kept[1]}
            self._clear_at = now + _KEEP_S
        self._unwrapped[org_id, key.id] = (key, now + _KEEP_S)
        return key

    def _wrap(self, org_id: UUID, key: Key) -> bytes:
        return self._primary.seal(identity("org_keys.wrapped", org_id, key.id), key.secret)

    def _unwrap(self, org_id: UUID, data_key_id: UUID, master_key_id: str, wrapped: bytes) -> Key:
        master_key = self._masters.get(master_key_id)
        if master_key is None:
            raise _missing((master_key_id,))
        return Key(data_key_id, master_key.open(identity("org_keys.wrapped", org_id, data_key_id), wrapped))

    async def _fact(self, conn: Conn, name: str) -> bytes:
        return self._open_fact(name, await conn.fetchval(_FACT, name))

    def _seal_fact(self, name: str, value: bytes) -> bytes:
        return self._primary.seal(identity("instance.value", name), value)

    def _open_fact(self, name: str, held: bytes) -> bytes:
        master_key = self._masters.get(key_id(held).hex)
        if master_key is None:
            raise _missing((key_id(held).hex,))
        return master_key.open(identity("instance.value", name), held)


def _within(org_id: UUID, aad: bytes) -> bytes:
    return identity("secret", org_id, aad)


def _missing(names: tuple[str, ...]) -> KeyProblem:
    return KeyProblem(
        f"This database was encrypted with a master key that was not given (id {', '.join(names)}). Set "
        "HEADRACE_SECRET_KEY to the key of this database; while it is being changed, to both, separated by a comma."
    )
