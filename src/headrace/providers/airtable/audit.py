"""The audit log of an enterprise: who did what in its workspaces and bases, kept by Airtable for 180 days.

No answer names the enterprise that a user administrates, so the credential has to tell its id.

Sources: https://airtable.com/developers/web/api/audit-log-events (scope enterprise.auditLogs:read, of an admin;
`startTime` is included, `endTime` is not; newest first, `previous` where there is something older),
.../api/audit-logs-integration-guide (where the account's id is shown; how long events are kept).
"""

from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta

from headrace.providers.airtable.places import ANY, NOT_TOLD, segment, written
from headrace.providers.airtable.shapes import schema_of
from headrace.providers.kit import (
    ChangedSince,
    Collection,
    Context,
    Cursor,
    Fault,
    Faulted,
    Listing,
    Page,
    Paged,
    Request,
    Response,
    Steps,
    Window,
)
from headrace.providers.kit.pagers import Token
from headrace.providers.kit.rows import Reader

ID = "airtable:audit_event"
ENTERPRISE = "enterprise_account_id"
"""The property of a credential."""
_event = Reader(ID, created="timestamp")


def _request(ctx: Context, window: Window) -> Request:
    enterprise = ctx.properties.get(ENTERPRISE)
    if not enterprise:
        said = f"it is the log of an enterprise: tell the credential's {ENTERPRISE} (ent…, shown in the admin panel)"
        raise Faulted(Fault("config", said))
    bounds = (("startTime", window.lo), ("endTime", window.hi))
    query = tuple((name, written(bound)) for name, bound in bounds if bound is not None)
    path = f"/v0/meta/enterpriseAccounts/{segment(str(enterprise))}/auditLogEvents"
    return Request(path, query=(*query, ("sortOrder", "descending")), limit_class=ANY)


_EVENTS = Paged(_request, Token("previous", "pagination.previous", size=("pageSize", 1_000)), "events")


def is_told(ctx: Context) -> Generator[Request, Response, bool]:
    """Whether the credential names an enterprise and may read its log."""
    if not ctx.properties.get(ENTERPRISE):
        return False
    response = yield replace(_request(ctx, Window()).with_query(("pageSize", "1")), accept=NOT_TOLD, any_body=True)
    return response.status < 300


def _page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
    """A page without events is the last, whatever it says of older ones."""
    read = yield from _EVENTS.read(ctx, window, cursor)
    return Page([_event(row, read.as_of) for row in read.rows], next=read.next if read.rows else None)


AUDIT_EVENTS = Collection(
    id=ID,
    name="audit event",
    listing=Listing(_page, windowed="created", order="newest_first"),
    changes=(ChangedSince(_page, field="created", settle=timedelta(hours=1), least=timedelta(seconds=15)),),
    deletes="never",
    schema=schema_of("audit_event"),
)
