"""New data keys: everything of an organisation sealed anew, while others go on reading and writing.

The old key is retired first, so that nothing new is sealed with it, and goes on opening what it sealed. Each value is
then sealed anew by a statement of its own, and only if it is still the one that was read. The call may be cut short and
repeated. What lives for a day at the most (kept answers, auth links) is left to run out; so the old key stays in its
row, and opens less and less.
"""

from datetime import datetime
from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.vault.keys import Keyring
from headrace.vault.sealing import identity

SQL = load(__package__, "resealing.sql")
ORGS, RETIRE, ADD = SQL.orgs_with_keys, SQL.retire_key, SQL.add_active_key

_CHUNK = 200
_PLACES = (
    ("credentials.secrets", SQL.credentials_of_other_keys, SQL.put_credential),
    ("oauth_apps.secrets", SQL.apps_of_other_keys, SQL.put_app),
    ("oauth_apps.webhook_secret", SQL.app_webhooks_of_other_keys, SQL.put_app_webhook),
    ("syncs.webhook_secret", SQL.syncs_of_other_keys, SQL.put_sync),
    ("access_tokens.token", SQL.tokens_of_other_keys, SQL.put_token),
)
"""What is sealed and lasts: its identity's first part, how it is found, how it is put back. The identity's other parts
are the organisation's id and the row's."""


async def replace_data_keys(conn: Conn, keyring: Keyring, now: datetime) -> tuple[int, int]:
    """Give each organisation a new data key and seal everything with it; returns (organisations, values).

    Call it outside of a transaction. Raises CannotOpen at a value that does not open, with the organisations before it
    done.
    """
    values = 0
    orgs = [row["org_id"] for row in await conn.fetch(ORGS)]
    for org_id in orgs:
        async with conn.transaction():
            key_id, master_key_id, wrapped = keyring.new_data_key(org_id)
            await conn.execute(RETIRE, org_id)
            await conn.execute(ADD, org_id, key_id, master_key_id, wrapped, now)
        values += await _reseal(conn, keyring, org_id, key_id)
    return len(orgs), values


async def _reseal(conn: Conn, keyring: Keyring, org_id: UUID, key_id: UUID) -> int:
    done = 0
    for what, find, put in _PLACES:
        while rows := await conn.fetch(find, org_id, key_id.bytes, _CHUNK):
            for row in rows:
                aad = identity(what, org_id, row["id"])
                opened = await keyring.open(conn, org_id, aad, row["sealed"])
                sealed = await keyring.seal(conn, org_id, aad, opened)
                done += await conn.execute(put, org_id, row["id"], row["sealed"], sealed) == "UPDATE 1"
    return done
