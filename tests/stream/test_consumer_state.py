"""What a process keeps of a consumer: what is out, and nothing of what was acked."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from headrace.stream.consumers.state import Settings, Settle, State
from headrace.stream.consumers.tokens import Delivery
from headrace.stream.filters import Filters

NOW = datetime(2026, 11, 24, tzinfo=UTC)
A_THOUSAND = 1000


@pytest.mark.parametrize(("answers", "messages"), [(20, A_THOUSAND), (5_000, 1)], ids=["large", "many"])
def test_what_was_acked_takes_no_memory_however_long_the_wait_for_an_ack_is(answers: int, messages: int) -> None:
    settings = Settings(1, timedelta(hours=12), -1, 10_000, Filters())
    state = State(settings, 0, 0, 0, 0, [])
    tracemalloc.start()
    try:
        _handed_out_and_acked(state, answers // 2, messages)
        before, _ = tracemalloc.get_traced_memory()
        _handed_out_and_acked(state, answers, messages)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not state.messages
    assert after - before < 100_000, f"{answers} answers that were acked are held on to"


def test_what_is_out_beside_much_that_was_acked_is_due_in_its_time() -> None:
    state = State(Settings(1, timedelta(seconds=30), -1, 10_000, Filters()), 0, 0, 0, 0, [])
    left = UUID(int=1 << 100)
    state.hand_out([(left, 1)], [], NOW)
    state.written(1, 0)
    _handed_out_and_acked(state, answers=200, messages=2)
    assert state.next_due_at() == NOW + timedelta(seconds=30)
    state.ripen(NOW + timedelta(seconds=30))
    assert list(state.due) == [left]


def _handed_out_and_acked(state: State, answers: int, messages: int) -> None:
    for _ in range(answers):
        group = state.hand_out(((UUID(int=number), state.turn) for number in range(messages)), [], NOW)
        state.written(state.position + messages, 0)
        out = [Delivery(message.record_id, message.idx, group.turn, 1) for message in group.messages.values()]
        state.settle(Settle("ack", out), NOW, {})
        state.written(state.position, 0)
