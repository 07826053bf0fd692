"""Secrets as they are shown."""

from typing import Any

STARS = "***********"
"""A secret property of a credential, however long it is."""

APP_STARS = "**********"
"""The client secret of an OAuth app."""


def looks_masked(value: Any) -> bool:
    """Whether a caller gave back the stars that it was shown: no provider's secret is made of stars alone."""
    return isinstance(value, str) and value != "" and set(value) == {"*"}
