"""/health and /ready tell the truth, and the limits hold over a real connection."""

from typing import Any

import httpx2
import pytest
from callers import Caller

from headrace.api.services import Services


class Engine:
    """A worker that says of itself what a test wants."""

    def __init__(self, **said: Any) -> None:
        self.said = {"alive": True, "stalled": False, "syncs_held": 3, **said}

    def status(self) -> dict[str, Any]:
        return self.said


async def test_health_looks_at_nothing(admin: Caller, services: Services) -> None:
    await services.db.api.close()
    assert await admin.ok("GET", "/health", headers={"Authorization": ""}) == {"status": "up"}


async def test_a_process_without_an_engine_is_ready_with_its_database(admin: Caller, services: Services) -> None:
    services.settings.role = "api"
    assert await admin.ok("GET", "/ready", headers={"Authorization": ""}) == {
        "ready": True,
        "role": "api",
        "database": {"reachable": True, "note": None},
        "engine": None,
    }


@pytest.mark.parametrize(
    ("said", "ready"),
    [({}, True), ({"alive": False}, False), ({"stalled": True}, False), ({"alive": False, "stalled": True}, False)],
)
async def test_a_process_with_an_engine_is_ready_when_that_is(
    admin: Caller, services: Services, said: dict[str, Any], ready: bool
) -> None:
    engine = Engine(**said)
    services.worker = engine  # type: ignore[assignment]
    answer = await admin("GET", "/ready")
    assert answer.status_code == (200 if ready else 503)
    assert answer.json()["ready"] is ready
    assert answer.json()["engine"] == engine.said


async def test_a_process_whose_database_is_away_is_not_ready(admin: Caller, services: Services) -> None:
    await services.db.api.close()
    answer = await admin("GET", "/ready")
    assert answer.status_code == 503
    assert answer.json()["database"]["reachable"] is False


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_refused_on_the_wire(admin: Caller, base_url: str, chunked: bool) -> None:
    async def chunks() -> Any:
        for _ in range(80):
            yield b"x" * 2**16

    headers = {"Authorization": f"Bearer {admin.token}"}
    async with httpx2.AsyncClient(base_url=base_url, headers=headers) as http:
        answer = await http.post("/v1/streams", content=chunks() if chunked else b"x" * 5 * 2**20)
        assert answer.status_code == 413
        assert "summary" in answer.json()
        assert (await http.get("/v1/streams")).status_code == 200


async def test_a_body_on_a_get_is_read_on_the_wire(admin: Caller, base_url: str) -> None:
    for slug in ("a", "b"):
        await admin.ok("POST", "/v1/streams", {"slug": slug})
    headers = {"Authorization": f"Bearer {admin.token}"}
    async with httpx2.AsyncClient(base_url=base_url, headers=headers) as http:
        found = await http.request("GET", "/v1/streams", json={"slug": "b"})
    assert [one["slug"] for one in found.json()["data"]] == ["b"]
