"""/openapi.json and /docs: the reference, rendered in the reader's browser by one page that loads nothing else."""

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from headrace import jsontext

# Scripts and styles are the page's own; it may ask this server only.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"


async def openapi(request: Request) -> Response:
    return Response(_document_text(request), media_type="application/json")


async def reference(_request: Request) -> Response:
    return HTMLResponse(_page(), headers={"Content-Security-Policy": _POLICY})


def _document_text(request: Request) -> bytes:
    return jsontext.dumps(request.app.openapi())


@cache
def _page() -> str:
    return files(__package__).joinpath("reference.html").read_text("utf-8")


routes = [Route("/openapi.json", openapi), Route("/docs", reference)]
