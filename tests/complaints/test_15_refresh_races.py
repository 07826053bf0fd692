"""Complaint 15: two processes refreshed the token at once, and the provider revoked the grant."""

import asyncio
import os

from granted import asker, granted, held_grant

from headrace.db.pool import Database
from headrace.testing.oauth import authorization_server


async def test_of_many_that_want_a_token_one_refreshes(db: Database, dsn: str) -> None:
    key = os.urandom(32).hex()
    elsewhere = await Database.open(dsn, api_size=4, ingest_size=1)
    try:
        async with authorization_server() as server, asker(db, key) as one, asker(elsewhere, key) as other:
            server.behaviour.revokes_on_reuse = True
            held = await granted(one, server)
            wants = [each.token(held.org_id, held.id) for each in (one, other) for _ in range(8)]
            assert set(await asyncio.gather(*wants)) <= server.grants.access.keys()
            assert set(server.grants.presented.values()) == {1}
            assert await held_grant(one, held) == server.grants.families[0].live
    finally:
        await elsewhere.close()
