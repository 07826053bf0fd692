"""Small charts as SVG, drawn on the server: no script, and no inline style that the page's policy would refuse."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

_MINUTE = timedelta(minutes=1)

_SPARK = Markup(
    '<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
    'aria-label="{label}" preserveAspectRatio="none"><polyline points="{points}"/></svg>'
)
_BARS = Markup(
    '<svg class="bars" viewBox="0 0 {width} {height}" role="img" aria-label="{label}" '
    'preserveAspectRatio="none">{parts}</svg>'
)
_BAR = Markup('<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>')
_LIMIT = Markup('<line class="limit" x1="0" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')


def by_minute(figures: Mapping[datetime, int], now: datetime, count: int) -> list[int]:
    """The figure of each of the last `count` minutes, the present one last; 0 where there is none."""
    last = now.replace(second=0, microsecond=0)
    return [figures.get(last - _MINUTE * back, 0) for back in range(count - 1, -1, -1)]


def spark(values: Sequence[float], label: str, width: int = 120, height: int = 28) -> Markup:
    """A line over equal steps. `label` says to those who cannot see it what it shows."""
    top = max(values, default=0) or 1
    step = width / max(1, len(values) - 1)
    points = " ".join(
        f"{index * step:.1f},{height - 1 - (height - 2) * value / top:.1f}" for index, value in enumerate(values)
    )
    return _SPARK.format(width=width, height=height, label=label, points=points)


def bars(
    values: Sequence[float],
    label: str,
    *,
    limit: float | None = None,
    bad: Sequence[float] = (),
    width: int = 640,
    height: int = 110,
) -> Markup:
    """A bar a step, from the oldest to the latest; `bad` stands in front of it in another colour, `limit` is a line
    across, as far as it lies within twice the highest bar."""
    highest = max([*values, 1])
    shown_limit = limit if limit is not None and limit <= 2 * highest else None
    top = max(highest, shown_limit or 0)
    step = width / max(1, len(values))
    parts: list[Markup] = []
    for index, value in enumerate(values):
        parts.append(_bar(index, value, step, top, height, "bar"))
        if index < len(bad) and bad[index]:
            parts.append(_bar(index, bad[index], step, top, height, "bar bad"))
    if shown_limit is not None:
        parts.append(_LIMIT.format(width=width, y=height - (height - 4) * shown_limit / top))
    return _BARS.format(width=width, height=height, label=label, parts=Markup("").join(parts))


def _bar(index: int, value: float, step: float, top: float, height: int, name: str) -> Markup:
    tall = (height - 4) * value / top
    return _BAR.format(name=name, x=index * step + 0.5, y=height - tall, wide=max(step - 1, 0.5), tall=tall)
