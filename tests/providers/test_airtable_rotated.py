"""Refresh tokens of one use, and a `headrace serve` that is killed (kill -9) around their exchange."""

import os
import signal
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import pytest
from serving import complete, equal
from test_airtable_serve import connected, found_by, place

from headrace.client import AsyncClient
from headrace.testing.airtable import AirtableServer, answers
from headrace.testing.exchange import Call, Reply
from headrace.testing.processes import ServeProcess

SETTINGS = {"limits_override": "none"}
Moment = Literal["the new token is used", "the answer is on its way"]


class Rotating(AirtableServer):
    """Access tokens end when `expire` says so. `dies`, when it is set, is killed at `moment`, once. A refresh token is
    good once, or, with `replays`, again until its successor was used."""

    moment: Moment = "the new token is used"
    replays = False
    dies: ServeProcess | None = None
    ended = 0
    _spent = ""

    def __init__(self, records: int) -> None:
        super().__init__(records)
        self.presented: Counter[str] = Counter()

    def expire(self) -> None:
        self.ended = self._issued

    def answer(self, call: Call) -> Reply:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if token.startswith("oaaAccess"):
            if int(token.removeprefix("oaaAccess")) <= self.ended:
                return answers.unauthorized()
            self._strike("the new token is used")
        return super().answer(call)

    def _mint(self, form: Mapping[str, str]) -> Reply:
        self.presented[form["refresh_token"]] += 1
        if self.replays and form["refresh_token"] == self._spent:
            self._refresh = self._spent
        self._spent = self._refresh
        reply = super()._mint(form)
        self._strike("the answer is on its way")
        return reply

    def _strike(self, moment: Moment) -> None:
        if self.dies is not None and moment == self.moment and self._issued > self.ended:
            os.kill(self.dies.pid, signal.SIGKILL)
            self.dies = None


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "moment", ["the new token is used", pytest.param("the answer is on its way", marks=pytest.mark.soak)]
)
async def test_killed_around_the_exchange_it_goes_on_with_what_was_rotated(dsn: str, moment: Moment) -> None:
    """Where the answer was on its way, the provider gives it again, as those do that wait for the successor's use; the
    next process asks once the turn of the dead one is over."""
    async with Rotating(120) as server, ServeProcess(database_url=dsn, settings=SETTINGS) as dying:
        server.moment, server.replays = moment, moment == "the answer is on its way"
        await dying.ready()
        async with AsyncClient(dying.url, dying.token) as api:
            credential = await connected(api, server)
            listed = [each async for each in api.collections.list(credential)]
            provider, truth, ids = await found_by(server, listed)
            stream = await api.streams.create(slug="airtable")
            sync = await api.syncs.create(
                name="airtable",
                provider="airtable",
                stream_id=stream["id"],
                credential_id=credential,
                collection_ids=[*ids.values()],
                rate_limit={"allowed_requests": 100_000, "interval": 1},
                max_poll_ms=1_000,
            )
            await complete(api, sync)
        server.dies = dying
        server.expire()
        await dying.ended()
        base, orders = place(server, "Mill")
        server.world.create(base, orders, {orders.fields[0].id: "Born while nobody read"})
        async with ServeProcess(database_url=dsn, settings=SETTINGS) as next_one:
            await next_one.ready()
            async with AsyncClient(next_one.url, next_one.token) as api:
                await equal(api, sync, provider, truth)
                assert (await api.syncs.get(sync["id"]))["health"]["status"] == "healthy"
    twice = [token for token, times in server.presented.items() if times > 1]
    assert len(twice) == (1 if server.replays else 0)
    assert len(server.presented) > 1, "one for the first token, and one since"
