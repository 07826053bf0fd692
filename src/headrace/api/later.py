"""Routes of the contract that are not there yet: 501, with what to do instead."""

from fastapi import APIRouter

from headrace.api import shapes
from headrace.api.auth import Caller
from headrace.errors import NotImplementedYet

router = APIRouter(tags=["not there yet"])

_CONSUMERS = "Take messages over HTTP instead: POST /v1/http-consumers, then GET …/next."
_PROVIDER = "Call the provider's API with a client of your own instead."

LATER: dict[tuple[str, tuple[str, ...]], str] = {
    ("/v1/targets/{kind}", ("GET", "POST")): f"Targets are not there yet. {_CONSUMERS}",
    ("/v1/targets/{kind}/{id}", ("GET", "PATCH", "DELETE")): f"Targets are not there yet. {_CONSUMERS}",
    ("/v1/targets/{kind}/{id}/test", ("POST",)): f"Targets are not there yet. {_CONSUMERS}",
    ("/v1/consumers/{kind}", ("GET", "POST")): f"Managed consumers are not there yet. {_CONSUMERS}",
    ("/v1/consumers/{kind}/{id}", ("GET", "PATCH", "DELETE")): f"Managed consumers are not there yet. {_CONSUMERS}",
    ("/v1/mutations/run", ("POST",)): f"Mutations are not there yet. {_PROVIDER}",
    ("/v1/proxy/sync/{sync_id}/{path:path}", ("GET", "POST", "PUT", "PATCH", "DELETE")): (
        f"The proxy is not there yet. {_PROVIDER}"
    ),
    ("/v1/proxy/credential/{credential_id}/{path:path}", ("GET", "POST", "PUT", "PATCH", "DELETE")): (
        f"The proxy is not there yet. {_PROVIDER}"
    ),
}
"""Path and methods, with the summary of the answer. They need a token, as they will when they are there."""


def _add(path: str, methods: tuple[str, ...], summary: str) -> None:
    async def authenticated(_principal: Caller) -> None:
        raise NotImplementedYet(summary)

    for method in methods:
        name = f"{method} {path}"
        router.add_api_route(
            path,
            authenticated,
            methods=[method],
            name=name,
            operation_id=name,
            summary="Not there yet",
            description=summary,
            status_code=501,
            responses=shapes.also(501),
        )


for (_path, _methods), _summary in LATER.items():
    _add(_path, _methods, _summary)
