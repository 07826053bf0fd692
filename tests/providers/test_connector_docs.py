"""The example of docs/connectors.md is a connector: it runs, keeps the laws, is found by its entry point from outside
the package, and does what the text says of it."""

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from serving import complete, equal, serving, start_sync

from headrace.http import Request, Response
from headrace.providers.kit import EVERYTHING, ChildSet, Context, Delete, Provider, Record, Refused, Window
from headrace.providers.kit.checks import drive, walk

TEXT = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text()
FILES = dict(re.findall(r"`([a-z_]+\.(?:py|toml))`[.:]\n\n```[a-z]+\n(.*?)```", TEXT, re.DOTALL))
NOW = datetime(2026, 11, 23, tzinfo=UTC)
CTX = Context({}, NOW, frozenset({"mill:sack", "mill:ticket"}))
SACKS = [{"id": f"s{n}", "made_at": "2026-01-01T00:00:00Z", "changed_at": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2, 3)]
TICKETS = {"s1": ["t1", "t2"], "s2": [], "s3": ["t3"]}


def respond(request: Request) -> Response:
    """The Mill: pages of two."""
    parts = request.url.split("/")
    if request.url == "/sacks":
        return page("sacks", SACKS, request)
    if len(parts) == 4:
        tickets = [{"id": each, "sack": parts[2]} for each in TICKETS[parts[2]]]
        return page("tickets", tickets, request)
    found = [sack for sack in SACKS if sack["id"] == parts[2]]
    return Response(200, orjson.dumps(found[0]), NOW) if found else Response(404, b'{"message":"no sack"}', NOW)


def page(name: str, rows: list[dict[str, Any]], request: Request) -> Response:
    asked = dict(request.query)
    low, high = asked.get("changed_from", ""), asked.get("changed_before", "9")
    rows = [row for row in rows if low <= row.get("changed_at", low) < high]
    at = int(asked.get("cursor", "0"))
    more = {"next_cursor": str(at + 2)} if at + 2 < len(rows) else {}
    return Response(200, orjson.dumps({name: rows[at : at + 2], "total": len(rows), **more}), NOW)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page's files define, each made in a folder that was empty."""
    folder = tmp_path_factory.mktemp("mill")
    for name, code in FILES.items():
        (folder / name).write_text(code)
    modules = [name.removesuffix(".py") for name in FILES if name.endswith(".py")]
    sys.path.insert(0, str(folder))
    try:
        yield {name: value for module in modules for name, value in vars(importlib.import_module(module)).items()}
    finally:
        sys.path.remove(str(folder))
        for module in modules:
            sys.modules.pop(module, None)


@pytest.fixture(scope="module")
def mill(names: dict[str, Any]) -> Provider:
    provider = names["MILL"]
    assert isinstance(provider, Provider)
    return provider


def test_the_page_makes_every_file_that_it_speaks_of(names: dict[str, Any]) -> None:
    assert FILES.keys() == {"mill_connector.py", "test_pages.py", "mill_server.py", "test_mill.py", "pyproject.toml"}
    assert re.findall(r"```(?:python|toml)\n", TEXT) == ["```python\n"] * 4 + ["```toml\n"]
    names["test_the_sacks_are_read_to_the_end"]()


def test_changes_and_listing_agree(mill: Provider) -> None:
    sack = mill.collection("mill:sack")
    assert sack is not None
    window = Window(datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    found = [item for each in walk(sack.changes[0].page, CTX, window, respond) for item in each.items]
    assert [item.id for item in found if isinstance(item, Record)] == ["s2"]


def test_tickets_are_found_below_their_sacks_and_again_as_a_set(mill: Provider) -> None:
    ticket = mill.collection("mill:ticket")
    assert ticket is not None
    assert ticket.listing is not None
    items = [item for each in walk(ticket.listing.page, CTX, EVERYTHING, respond) for item in each.items]
    assert [(item.id, item.parent) for item in items if isinstance(item, Record)] == [
        ("t1", "s1"),
        ("t2", "s1"),
        ("t3", "s3"),
    ]
    assert ticket.children is not None
    assert ticket.children.page is not None
    again, _ = drive(ticket.children.page(CTX, Record("mill:sack", "s1", b"{}", NOW), None), respond)
    assert again.items[-1] == ChildSet("mill:ticket", "s1", frozenset({"t1", "t2"}), NOW)


def test_a_sack_is_fetched_or_known_to_be_gone(mill: Provider) -> None:
    sack = mill.collection("mill:sack")
    assert sack is not None
    assert sack.fetch is not None
    (there,) = drive(sack.fetch.page(CTX, "s1", None), respond)[0].items
    assert isinstance(there, Record)
    assert drive(sack.fetch.page(CTX, "s9", None), respond)[0].items == [Delete("mill:sack", "s9", NOW)]


def test_the_key_is_verified_and_faults_are_told(mill: Provider) -> None:
    (kind,) = mill.kinds
    steps = kind.verify({"key": "k"}, NOW)
    next(steps)
    with pytest.raises(Refused):
        steps.send(Response(401, b"{}", NOW))
    kinds = {status: mill.fault(Response(status, b"{}", NOW)) for status in (200, 401, 404, 422, 429, 500)}
    assert [fault and fault.kind for fault in kinds.values()] == [None, "auth", "gone", "bad", "rate", "transient"]


async def test_the_example_keeps_the_laws(names: dict[str, Any]) -> None:
    await names["keeps_the_laws"]()


@pytest.mark.parametrize("kind", ["rate_limited", "server_error", "reset", "truncated_json", "html"])
async def test_the_example_keeps_the_laws_in_a_hostile_world(names: dict[str, Any], kind: str) -> None:
    await names["test_the_mill_keeps_the_laws_in_a_hostile_world"](kind)


async def test_a_package_of_its_own_is_found_and_followed(
    dsn: str, names: dict[str, Any], mill: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mill_connector.py").write_text(FILES["mill_connector.py"])
    installed = tmp_path / "mill_connector-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mill-connector\nVersion: 1.0\n")
    points = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"]["headrace.providers"]
    lines = (f"{name} = {value}" for name, value in points.items())
    (installed / "entry_points.txt").write_text("\n".join(["[headrace.providers]", *lines]))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with names["MillServer"]() as server, serving(dsn) as api:
        for number in range(120):
            server.fill(f"s{number}", f"t{number}a", f"t{number}b")
        properties = {"kind": "mill_key", "key": "k", "base_url": server.base_url}
        sync = await start_sync(api, "mill", properties, ["mill:sack", "mill:ticket"])
        await complete(api, sync)
        await equal(api, sync, mill, server.held)
        server.fill("s7", "t7a", "t7c")
        server.fill("s500")
        await equal(api, sync, mill, server.held)
