"""How figures, moments and JSON are shown to people."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from headrace import jsontext

_TIME = Markup('<time datetime="{}" title="{}">{}</time>')


def count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def seconds(value: float | None) -> str:
    """A span in the unit that suits it."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.0f} s"
    if value < 2 * 3600:
        return f"{value / 60:.0f} min"
    if value < 2 * 86_400:
        return f"{value / 3600:.0f} h"
    return f"{value / 86_400:.0f} days"


def moment(value: str | datetime | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value.replace("Z", "+00:00"))


def when(value: str | datetime | None, now: datetime) -> Markup:
    """How long ago, or in how long, with the moment itself for who wants it exactly."""
    at = moment(value)
    if at is None:
        return Markup("–")
    span = (now - at).total_seconds()
    told = f"{seconds(span)} ago" if span >= 0 else f"in {seconds(-span)}"
    exact = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return _TIME.format(at.isoformat(), exact, told)


def setting(value: Any) -> str:
    """A sync's setting, as a person would say it."""
    if value is None:
        return "not set"
    if isinstance(value, dict) and "allowed_requests" in value:
        at_once = value.get("max_concurrent_requests")
        told = f"{value['allowed_requests']} requests in {value.get('interval', 1)} s"
        return f"{told}, at most {at_once} at once" if at_once else told
    return short(value, 200)


def fact(value: Any) -> str:
    """A figure of this process, as a person would say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def short(value: Any, most: int = 80) -> str:
    text = value if isinstance(value, str) else jsontext.dumps(value).decode()
    return text if len(text) <= most else text[: most - 1] + "…"
