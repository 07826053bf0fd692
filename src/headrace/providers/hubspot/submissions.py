"""What was filled into forms: a list for each form, the newest first.

Source: https://legacydocs.hubspot.com/docs/methods/forms/get-submissions-for-a-form (50 a page, `after`).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.providers.kit import (
    ChangedSince,
    Collection,
    Context,
    Cursor,
    Listing,
    Page,
    Paged,
    Record,
    Request,
    Steps,
    Window,
)
from headrace.providers.kit.pagers import Token
from headrace.providers.kit.rows import Picker, Raw, Reader, decoded
from headrace.stream.hashes import raw_hash

ID = "hubspot:form_submission"
_FORMS = Paged(Request("/marketing/v3/forms"), Token("after", "paging.next.after", size=("limit", 100)), "results")
_form = Reader("hubspot:form").id_of
_told = Picker(id=("conversionId", Any), at=("submittedAt", Any))


def _of(form: str) -> Paged:
    request = Request(f"/form-integrations/v1/submissions/forms/{form}", accept=(404,))
    return Paged(request, Token("after", "paging.next.after", size=("limit", 50)), "results")


def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    """Form by form, each from the newest down to the window's beginning. The forms are listed first; the cursor keeps
    those that are left."""
    if cursor is None:
        forms = yield from _FORMS.read_all(ctx)
        left = [_form(row) for row in forms.rows]
        return Page(next={"left": left} if left else None)
    form, *others = cursor["left"]
    read = yield from _of(form).read(ctx, window, cursor.get("at"))
    records = [_record(form, row, read.as_of) for row in read.rows]
    within = [each for each in records if _begins_before(window, each) and not _is_before(window, each)]
    if read.next is not None and not any(_is_before(window, each) for each in records):
        return Page([*within], next={"left": cursor["left"], "at": read.next})
    return Page([*within], next={"left": others} if others else None)


def _record(form: str, row: Raw, as_of: datetime) -> Record:
    """A submission is known by its conversion; where that is not told, by its time and what it says."""
    key, at = decoded(lambda: _told(row))
    born = datetime.fromtimestamp(at / 1000, UTC) if type(at) is int else None
    raw = bytes(row)
    return Record(ID, f"{form}/{key or f'{at}-{raw_hash(raw).hex()}'}", raw, as_of, created=born)


def _is_before(window: Window, record: Record) -> bool:
    return window.lo is not None and record.created is not None and record.created < window.lo


def _begins_before(window: Window, record: Record) -> bool:
    return window.hi is None or record.created is None or record.created < window.hi


SUBMISSIONS = Collection(
    id=ID,
    name="form submission",
    listing=Listing(page, windowed="created"),
    changes=(ChangedSince(page, field="created", resolution=timedelta(milliseconds=1)),),
    sweep_every=timedelta(days=1),
)
