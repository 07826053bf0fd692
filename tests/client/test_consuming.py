"""Consuming with acks: what was handled is acked, what failed comes back, what was not begun is given back."""

from typing import Any

import pytest
from scripted_server import Scripted

from headrace.client import AsyncClient, Client, RetryPolicy

QUICK = RetryPolicy(attempts=2, first_s=0.001)


def batch(*names: str) -> tuple[int, dict[str, Any]]:
    data = [{"ack_token": f"t-{name}", "record": {"upstream_id": name}} for name in names]
    return 200, {"data": data, "info": {"num_pending": 0, "num_ack_pending": len(names)}}


def acts(scripted: Scripted) -> list[tuple[str, list[str]]]:
    """What was said about messages: (verb, tokens), in order."""
    said = [(asked.path.rsplit("/", 1)[1], asked.body) for asked in scripted.asked]
    return [(verb, body["ack_tokens"]) for verb, body in said if verb != "next"]


def asked_for(scripted: Scripted) -> list[tuple[int, int]]:
    return [
        (asked.body["batch_size"], asked.body["wait_for"]) for asked in scripted.asked if asked.path.endswith("/next")
    ]


def test_a_batch_is_acked_with_one_call_before_the_next_is_fetched(scripted: Scripted) -> None:
    scripted.answers = [batch("a", "b"), (204, {}), batch("c"), (204, {})]
    seen = []
    with Client(scripted.url, retries=QUICK) as api, api.consumers.consume("c1", batch_size=2) as messages:
        for message in messages:
            with message:
                seen.append(message.record["upstream_id"])
            if len(seen) == 3:
                break
    assert seen == ["a", "b", "c"]
    assert acts(scripted) == [("ack", ["t-a", "t-b"]), ("ack", ["t-c"])]


def test_with_nothing_there_it_waits_for_one_message_so_that_none_is_held_back(scripted: Scripted) -> None:
    scripted.answers = [batch(), batch(), batch("a"), (204, {})]
    with (
        Client(scripted.url, retries=QUICK) as api,
        api.consumers.consume("c1", batch_size=50, wait_ms=700) as messages,
        next(messages),
    ):
        pass
    assert asked_for(scripted) == [(50, 0), (1, 700), (1, 700)]


def test_a_message_that_fails_is_given_back_with_what_was_not_begun_and_the_error_goes_on(scripted: Scripted) -> None:
    scripted.answers = [batch("a", "b", "c"), (204, {}), (204, {}), (204, {})]

    def handle(name: str) -> None:
        if name == "b":
            raise KeyError(name)

    def consume_all() -> None:
        with Client(scripted.url, retries=QUICK) as api, api.consumers.consume("c1") as messages:
            for message in messages:
                with message:
                    handle(message.record["upstream_id"])

    with pytest.raises(KeyError):
        consume_all()
    assert acts(scripted) == [("nack", ["t-b"]), ("ack", ["t-a"]), ("nack", ["t-c"])]


def test_a_message_may_be_settled_by_hand(scripted: Scripted) -> None:
    scripted.answers = [batch("a", "b", "c", "d"), *[(204, {})] * 4]
    with Client(scripted.url, retries=QUICK) as api, api.consumers.consume("c1") as messages:
        first, second, third, fourth = (next(messages) for _ in range(4))
        first.nack(delay_ms=50)
        second.term("never")
        third.extend()
        fourth.ack()
    assert acts(scripted) == [("nack", ["t-a"]), ("term", ["t-b"]), ("extend", ["t-c"]), ("ack", ["t-d"])]
    assert scripted.asked[1].body["delay_ms"] == 50
    assert scripted.asked[2].body["reason"] == "never"


async def test_the_async_client_consumes_by_the_same_rules(scripted: Scripted) -> None:
    scripted.answers = [batch("a", "b", "c"), (204, {}), (204, {}), (204, {})]
    async with AsyncClient(scripted.url, retries=QUICK) as api:
        with pytest.raises(KeyError):  # noqa: PT012
            async with api.consumers.consume("c1") as messages:
                async for message in messages:
                    async with message:
                        if message.record["upstream_id"] == "b":
                            raise KeyError
    assert acts(scripted) == [("nack", ["t-b"]), ("ack", ["t-a"]), ("nack", ["t-c"])]
