"""The webhooks of an OAuth app: the hash of their address's secret part, and what signs them."""

from uuid import UUID

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.vault import oauth_apps
from headrace.vault.keys import Keyring
from headrace.vault.oauth_apps import OAuthApp
from headrace.vault.sealing import identity

SQL = load(__package__, "oauth_apps.sql")
SET, OF = SQL.set_app_webhook, SQL.app_of_webhook


async def keep(conn: Conn, keyring: Keyring, app: OAuthApp, path_hash: bytes, signing_secret: str | None) -> None:
    """Take the app's webhooks at this address from now on, and at no older one. Without a secret of their own
    (`signing_secret` None) they are signed with the app's client secret, whichever it then is."""
    aad = _aad(app.org_id, app.id)
    sealed = None if signing_secret is None else await keyring.seal(conn, app.org_id, aad, signing_secret.encode())
    await conn.execute(SET, app.org_id, app.id, path_hash, sealed)


async def find(conn: Conn, keyring: Keyring, app_id: UUID, path_hash: bytes) -> tuple[OAuthApp, str] | None:
    """The app whose webhooks come to this address, and the secret that signs them; None when there is none."""
    row = await conn.fetchrow(OF, app_id, path_hash)
    if row is None:
        return None
    app = await oauth_apps.get(conn, row["org_id"], app_id)
    if row["webhook_secret"] is None:
        return app, (await oauth_apps.open_secrets(conn, keyring, app))["client_secret"]
    return app, (await keyring.open(conn, app.org_id, _aad(app.org_id, app.id), row["webhook_secret"])).decode()


def _aad(org_id: UUID, app_id: UUID) -> bytes:
    return identity("oauth_apps.webhook_secret", org_id, app_id)
