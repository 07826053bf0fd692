"""What goes wrong everywhere at once is said once, in health and in the log."""

from datetime import UTC, datetime
from itertools import pairwise

from aiohttp import web
from holding import holding
from hypothesis import given
from hypothesis import strategies as st
from shop import open_shop
from structlog.testing import capture_logs

from headrace.db.pool import Database
from headrace.engine.repeats import Repeats


class Hands:
    """A clock that is set by hand."""

    seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def test_a_provider_that_is_away_makes_one_note_and_one_line(db: Database) -> None:
    async with open_shop() as shop:
        kinds = ["order", "note", "tag", "document"]
        async with holding(db, shop, kinds) as held:
            await held.start()
            await held.read_to_the_end()
            shop.fail = lambda asked: web.json_response({}, status=403)
            shop.put("tag", "t1")
            with capture_logs() as lines:
                await held.ask()

                async def told() -> bool:
                    notes = (await held.health())["notes"]
                    return any(", " in note.partition(": ")[0] for note in notes)

                await held.until(told)
                [note] = (await held.health())["notes"]
                assert note.endswith("the credential is not allowed to: status 403. Grant it at the provider.")
            failed = [line for line in lines if line["event"] == "request_failed"]
            assert len(failed) == 1
            assert failed[0]["times"] == 1


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30)), max_size=60))
def test_no_event_is_left_uncounted_and_no_kind_has_two_lines_within_a_minute(events: list[tuple[str, float]]) -> None:
    clock = Hands()
    repeats = Repeats(clock, every_s=60.0)
    lines: dict[str, list[float]] = {"a": [], "b": []}
    counted, happened = {"a": 0, "b": 0}, {"a": 0, "b": 0}
    for kind, later in events:
        clock.seconds += later
        happened[kind] += 1
        if times := repeats.worth(kind):
            lines[kind].append(clock.monotonic())
            counted[kind] += times
            assert counted[kind] == happened[kind]
    for moments in lines.values():
        assert all(later - earlier >= 60.0 for earlier, later in pairwise(moments))
