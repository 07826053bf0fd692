"""One request of one visitor, and the page that answers it."""

import functools
import urllib.parse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any
from uuid import UUID

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from headrace import __version__, jsontext
from headrace.api.services import Services
from headrace.console import charts, session, words
from headrace.console.asking import Asking, Refused
from headrace.console.session import Sealer, Session
from headrace.control import syncs, tokens
from headrace.control.syncs import Sync
from headrace.control.tokens import Principal
from headrace.db.pool import Conn
from headrace.errors import HeadraceError, NotFound, Unauthorized
from headrace.ids import parse_uuid

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_MOST_FORM_BYTES = 256 * 1024
_MOST_SYNCS = 10_000
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FunctionLoader(
        lambda name: ((files(__package__) / "templates" / name).read_text("utf-8"), name, lambda: True)
    ),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
    auto_reload=False,
)
_TEMPLATES.filters |= {
    "count": words.count,
    "seconds": words.seconds,
    "pretty": jsontext.pretty,
    "short": words.short,
    "setting": words.setting,
    "fact": words.fact,
}
_TEMPLATES.globals |= {"version": __version__, "spark": charts.spark, "bars": charts.bars}


@dataclass(slots=True)
class Visit:
    """The request, who makes it, and what the page needs. `form` is what was posted, by name."""

    request: Request
    services: Services
    sealer: Sealer
    session: Session
    principal: Principal
    api: Asking
    form: dict[str, list[str]]

    @property
    def now(self) -> datetime:
        return self.services.db.clock.now()

    @property
    def base(self) -> str:
        """The address at which this server is reached from outside."""
        return str(self.services.settings.public_url or self.request.base_url).rstrip("/")

    async def syncs(self, conn: Conn, *stream_ids: UUID) -> list[Sync]:
        """Those that whoever looks may see, of these streams or of all; the oldest 10 000 where there are more."""
        among = stream_ids or self.principal.stream_ids
        return await syncs.list_(conn, self.principal.org_id, limit=_MOST_SYNCS, among_streams=among)

    def id(self, name: str = "id") -> UUID:
        """An id in the path. Raises NotFound."""
        found = parse_uuid(str(self.request.path_params[name]))
        if found is None:
            raise NotFound("There is nothing at this address.")
        return found

    def query(self, name: str) -> str | None:
        """A parameter of the address; None when it is empty."""
        return self.request.query_params.get(name, "").strip() or None

    def field(self, name: str) -> str | None:
        """A field of the form; None when it is empty."""
        return self.form.get(name, [""])[0].strip() or None

    def fragment(self, template: str, **values: Any) -> str:
        """A template without the frame of a page."""
        now = self.now
        return _TEMPLATES.get_template(template).render(
            visit=self, csrf=self.session.csrf, when=lambda moment: words.when(moment, now), now=now, **values
        )

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        said = session.said(self.sealer, self.request)
        response = _html(self.fragment(template, said=said, path=self.request.url.path, **values), status)
        if said is not None:
            response.delete_cookie(session.SAID_COOKIE, path="/")
        return response

    def go(self, path: str, text: str | None = None, kind: str = "done") -> Response:
        """To another page, which says `text`."""
        response = RedirectResponse(path, 303)
        if text is not None:
            session.say(self.sealer, response, self.request, kind, text)
        return response


Page = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Door:
    """Makes endpoints of pages: who has no session is led to the login, what goes wrong is told on a page."""

    def __init__(self, services: Services, api: ASGIApp) -> None:
        self.services = services
        self.sealer = Sealer(services.keyring)
        self._api = api

    def page(self, page: Page) -> Endpoint:
        @functools.wraps(page)
        async def endpoint(request: Request) -> Response:
            visit = await self.visit(request)
            if visit is None:
                return self._to_login(request)
            try:
                if request.method != "GET":
                    await self._take_form(visit)
                return await page(visit)
            except Refused as refused:
                return self._told(visit, refused, refused.status)
            except HeadraceError as error:
                return self._told(visit, error, error.status)

        return endpoint

    async def visit(self, request: Request) -> Visit | None:
        """None without a session whose token still holds."""
        now = self.services.db.clock.now()
        found = session.current(self.sealer, request, now.timestamp())
        if found is None:
            return None
        principal = await self.principal(found.token)
        if principal is None:
            return None
        return Visit(request, self.services, self.sealer, found, principal, Asking(self._api, found.token), {})

    async def principal(self, token: str) -> Principal | None:
        """Whose token it is; None for one that is not good."""

        async def load() -> Principal:
            async with self.services.db.api.acquire() as conn:
                return await tokens.authenticate(conn, token, self.services.db.clock.now())

        try:
            return await self.services.callers.get(tokens.hash_of(token), load)
        except Unauthorized:
            return None

    def login(self, request: Request, *, wrong: str | None = None, status: int = 200) -> Response:
        return _html(
            _TEMPLATES.get_template("login.html").render(
                wrong=wrong, after=own_path(request.query_params.get("after", "/"))
            ),
            status,
        )

    async def _take_form(self, visit: Visit) -> None:
        visit.form = await read_form(visit.request)
        given = visit.request.headers.get("x-csrf-token") or (visit.field("csrf") or "")
        if not session.comes_from_us(visit.session, visit.request, given):
            raise Refused(403, {"summary": "This did not come from a page of this console. Load the page again."})

    def _to_login(self, request: Request) -> Response:
        if request.headers.get("hx-request"):
            return Response(status_code=204, headers={"HX-Redirect": "/login"})
        after = request.url.path if request.method == "GET" else "/"
        return RedirectResponse("/login?" + urllib.parse.urlencode({"after": after}), 303)

    def _told(self, visit: Visit, error: HeadraceError, status: int) -> Response:
        errors = error.errors if isinstance(error, Refused) else {}
        return visit.page("error.html", status, title="That did not work", summary=error.summary, errors=errors)


async def read_form(request: Request) -> dict[str, list[str]]:
    """A posted form, by name. Raises Refused for one that is too large or no text."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_FORM_BYTES:
            raise Refused(413, {"summary": "The form is too large."})
    try:
        return urllib.parse.parse_qs(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body))
    except ValueError:
        raise Refused(400, {"summary": "The form cannot be read."}) from None


def own_path(after: str) -> str:
    """Where to go after the login: a path of ours, whatever was asked."""
    return after if after.startswith("/") and not after.startswith(("//", "/\\")) else "/"


def _html(text: str, status: int) -> HTMLResponse:
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return HTMLResponse(text, status, headers)
