"""Complaint 16: the new refresh token was used before it was saved, and lost with the process."""

import os

from granted import asker, granted

from headrace.db.pool import Database
from headrace.testing.oauth import authorization_server


async def test_who_comes_after_a_dead_process_has_the_rotated_token(db: Database) -> None:
    key = os.urandom(32).hex()
    async with authorization_server() as server:
        server.behaviour.revokes_on_reuse = True
        async with asker(db, key) as dying:
            held = await granted(dying, server)
            first = await dying.token(held.org_id, held.id)  # and what it knows is gone with it
        async with asker(db, key) as next_one:
            second = await next_one.token(held.org_id, held.id, refused=first)
        assert second != first
        assert second in server.grants.access
        assert set(server.grants.presented.values()) == {1}
