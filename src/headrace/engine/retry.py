"""How long to wait before a request is tried again."""

import random

_FIRST_S = 0.5
_LONGEST_S = 60.0
_MOST_DOUBLINGS = 10


def backoff_s(attempt: int, draw: float | None = None) -> float:
    """Seconds before the try after `attempt` failed ones: doubling from half a second to a minute, between half of that
    and the whole by `draw` (0..1, default random), so that those who failed together do not return together."""
    whole = min(_LONGEST_S, _FIRST_S * float(2 ** min(attempt - 1, _MOST_DOUBLINGS)))
    return whole * (1 + (random.random() if draw is None else draw)) / 2  # noqa: S311 (no secret depends on it)
