"""Tokens at the level of their rows: what concurrent calls may not do to them."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from headrace.control import orgs, tokens
from headrace.control.tokens import Principal
from headrace.db.pool import Database
from headrace.errors import Invalid, NotFound, Unauthorized


@pytest.fixture
async def org(db: Database) -> orgs.Org:
    async with db.transaction() as conn:
        return await orgs.create(conn, "Choam", db.clock.now())


async def test_of_the_last_two_admin_tokens_only_one_can_be_revoked(db: Database, org: orgs.Org) -> None:
    now = db.clock.now()
    async with db.transaction() as conn:
        made = [(await tokens.create(conn, org.org_id, name, ["admin"], now))[0] for name in ("a", "b")]

    async def revoke(token: tokens.ApiToken) -> None:
        async with db.transaction() as conn:
            await tokens.revoke(conn, org.org_id, token.id, now)

    outcomes = await asyncio.gather(*(revoke(token) for token in made), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Invalid", "NoneType"]
    async with db.transaction() as conn:
        assert len(await tokens.list_(conn, org.org_id, limit=10)) == 1


@pytest.mark.parametrize("other", ["limited", "expired", "reader"])
async def test_a_token_that_cannot_stand_in_does_not_free_the_last_admin(
    db: Database, org: orgs.Org, other: str
) -> None:
    now = db.clock.now()
    async with db.transaction() as conn:
        admin, _ = await tokens.create(conn, org.org_id, "admin", ["admin"], now)
        await tokens.create(
            conn,
            org.org_id,
            other,
            ["read"] if other == "reader" else ["admin"],
            now,
            stream_ids=[org.org_id] if other == "limited" else None,
            expires_at=now if other == "expired" else None,
        )
    async with db.transaction() as conn:
        with pytest.raises(Invalid):
            await tokens.revoke(conn, org.org_id, admin.id, now)


async def test_a_use_is_noted_at_most_once_a_minute(db: Database, org: orgs.Org) -> None:
    now = db.clock.now()
    async with db.transaction() as conn:
        token, secret = await tokens.create(conn, org.org_id, "a", ["read"], now)
        for seconds, noted in ((0, 0), (30, 0), (59, 0), (61, 61), (90, 61)):
            await tokens.authenticate(conn, secret, now + timedelta(seconds=seconds))
            seen = (await tokens.get(conn, org.org_id, token.id)).last_used_at
            assert seen == now + timedelta(seconds=noted)


async def test_a_token_ends_at_its_moment(db: Database, org: orgs.Org) -> None:
    now = db.clock.now()
    async with db.transaction() as conn:
        _, secret = await tokens.create(conn, org.org_id, "a", ["read"], now, expires_at=now + timedelta(seconds=1))
        await tokens.authenticate(conn, secret, now)
        with pytest.raises(Unauthorized):
            await tokens.authenticate(conn, secret, now + timedelta(seconds=1))


async def test_a_token_of_another_organisation_is_not_there(db: Database, org: orgs.Org) -> None:
    now = db.clock.now()
    async with db.transaction() as conn:
        other = await orgs.create(conn, "Harkonnen", now)
        token, _ = await tokens.create(conn, org.org_id, "a", ["read"], now)
        with pytest.raises(NotFound):
            await tokens.get(conn, other.org_id, token.id)
        with pytest.raises(NotFound):
            await tokens.revoke(conn, other.org_id, token.id, now)


async def test_secrets_are_never_twice_the_same_and_never_in_a_repr(db: Database, org: orgs.Org) -> None:
    async with db.transaction() as conn:
        made = [await tokens.create(conn, org.org_id, "a", ["read"], db.clock.now()) for _ in range(20)]
    secrets = {secret for _, secret in made}
    assert len(secrets) == 20
    assert all(len(secret) >= 43 for secret in secrets)
    assert not any(secret in repr(token) for token, secret in made)


def test_admin_reaches_everything_and_the_others_only_their_own() -> None:
    nobody = UUID(int=0)
    reach: list[tuple[set[str], set[str]]] = [
        ({"admin"}, {"admin", "read", "consume"}),
        ({"read"}, {"read"}),
        ({"consume"}, {"consume"}),
        ({"read", "consume"}, {"read", "consume"}),
        (set(), set()),
    ]
    for scopes, may in reach:
        principal = Principal(nobody, nobody, "x", frozenset(scopes))
        assert {scope for scope in tokens.SCOPES if principal.may(scope)} == may
