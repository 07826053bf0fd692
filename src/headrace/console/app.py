"""The console's addresses."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Scope

from headrace import __version__
from headrace.api.services import Services
from headrace.console import access, connect, consumers, live, overview, session, stream, sync
from headrace.console.visit import Door, Endpoint, Page, own_path, read_form

_ASSETS = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "hx-sse.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_GET: dict[str, Page] = {
    "/": overview.page,
    "/connect": connect.providers,
    "/connect/back": connect.finish_login,
    "/connect/{slug}": connect.credential,
    "/connect/{slug}/{credential_id}": connect.collections,
    "/syncs/{id}": sync.page,
    "/syncs/{id}/edit": sync.edit,
    "/streams/{id}": stream.page,
    "/records": stream.find,
    "/records/{id}": stream.record,
    "/consumers": consumers.every,
    "/consumers/{id}": consumers.page,
    "/credentials": access.credentials,
    "/oauth-apps": access.oauth_apps,
    "/tokens": access.tokens,
    "/settings": access.settings,
}
_POST: dict[str, Page] = {
    "/connect/{slug}/new": connect.new_credential,
    "/connect/{slug}/login": connect.start_login,
    "/connect/{slug}/preview": connect.preview,
    "/connect/{slug}/{credential_id}": connect.create,
    "/syncs/{id}/plan": sync.plan,
    "/syncs/{id}/change": sync.change,
    "/syncs/{id}/pause": sync.pause,
    "/syncs/{id}/resume": sync.resume,
    "/syncs/{id}/run": sync.run,
    "/syncs/{id}/backfill": sync.backfill,
    "/syncs/{id}/confirm-deletes": sync.confirm_deletes,
    "/syncs/{id}/delete": sync.delete,
    "/consumers": consumers.create,
    "/consumers/{id}/pull": consumers.pull,
    "/consumers/{id}/settle": consumers.settle,
    "/consumers/{id}/replay": consumers.replay,
    "/consumers/{id}/reset": consumers.reset,
    "/consumers/{id}/delete": consumers.delete,
    "/credentials/{id}/delete": access.delete_credential,
    "/oauth-apps": access.create_oauth_app,
    "/oauth-apps/{id}/delete": access.delete_oauth_app,
    "/tokens": access.create_token,
    "/tokens/{id}/revoke": access.revoke_token,
    "/streams/{id}": access.change_stream,
}
_LIVE: dict[str, tuple[live.Part, float]] = {
    "/live": (overview.live, 2.0),
    "/syncs/{id}/live": (sync.live, 1.0),
    "/streams/{id}/live": (stream.live, 0.5),
    "/consumers/live": (consumers.every_live, 2.0),
    "/consumers/{id}/live": (consumers.live, 1.0),
}


class _Page(Route):
    """A route that says which it is to the layers around it, for the log and the metrics."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return match, {**child, "route": self}


def routes(services: Services, api: ASGIApp) -> list[BaseRoute]:
    """The routes of the console. `api` is the application that answers the contract's routes, asked in this process."""
    door = Door(services, api)
    found: list[BaseRoute] = [
        _Page("/assets/{name}", _asset),
        _Page("/login", _login(door), methods=["GET", "POST"]),
        _Page("/logout", _logout, methods=["POST"]),
    ]
    found += [_Page(path, live.stream(door, part, every_s)) for path, (part, every_s) in _LIVE.items()]
    found += [_Page(path, door.page(page), methods=["GET"]) for path, page in _GET.items()]
    found += [_Page(path, door.page(page), methods=["POST"]) for path, page in _POST.items()]
    return found


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        return Response(status_code=404)
    content = (files(__package__) / "assets" / name).read_bytes()
    fresh = request.query_params.get("v") == __version__
    headers = {"Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache"}
    return Response(content, media_type=_ASSETS[name], headers=headers)


def _login(door: Door) -> Endpoint:
    async def login(request: Request) -> Response:
        if request.method == "GET":
            return door.login(request)
        form = await read_form(request)
        token = form.get("token", [""])[0].strip()
        principal = await door.principal(token) if token else None
        if principal is None:
            return door.login(
                request, wrong="This is no API token of this installation, or it was revoked.", status=401
            )
        if not principal.may("read"):
            return door.login(
                request, wrong="This token may only consume. The console needs read or admin.", status=403
            )
        response = RedirectResponse(own_path(form.get("after", ["/"])[0]), 303)
        session.begin(door.sealer, response, request, token, door.services.db.clock.now().timestamp())
        return response

    return login


async def _logout(_request: Request) -> Response:
    response = RedirectResponse("/login", 303)
    session.end(response)
    return response
