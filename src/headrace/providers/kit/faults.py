"""Answers that are no success, by what one does about them."""

from dataclasses import dataclass
from typing import Literal

FaultClass = Literal[
    "auth", "permission", "gone", "rate", "quota", "transient", "split", "restart", "expired", "config", "bad"
]
"""What one does about an answer that is no success:

`auth` refresh the token once, then `error` · `permission` a person must grant it · `gone` this record or child is not
there · `rate`, `quota` wait · `transient` try again with back-off · `split` ask for a smaller window · `restart` the
page cursor died: read this window from its start · `expired` the feed no longer reaches back so far: fresh backfill
with sweep · `config` a person must put it right · `bad` this one record or child is set aside."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is no success. `message` is the provider's own words, with secrets taken out by the engine."""

    kind: FaultClass
    message: str


class Faulted(Exception):
    """Raised by a page function that finds in an answer what `Provider.fault` could not know.

    A result cut at the query's cap (`split`), a feed that begins later than the position asked for (`expired`), a page
    that says that more follows and names no next (`transient`). The engine treats it as an answer with that fault; the
    page is asked for again from its beginning where the fault's kind says so.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault
