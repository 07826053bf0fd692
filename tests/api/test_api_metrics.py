"""/metrics, and the page that describes it."""

import importlib
import pkgutil
import re
from pathlib import Path

from callers import Caller
from prometheus_client import REGISTRY

import headrace

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `(headrace_\w+)` \| (\w+) \| ([\w, ]*) ?\|", re.MULTILINE)


def test_the_page_names_every_figure_and_no_other() -> None:
    for module in pkgutil.walk_packages(headrace.__path__, "headrace."):
        if module.name.endswith(".metrics"):
            importlib.import_module(module.name)
    registered = {
        (collector._name, collector._type, ", ".join(collector._labelnames))
        for collector in set(REGISTRY._collector_to_names)
        if getattr(collector, "_name", "").startswith("headrace_")
    }
    described = {(name, kind, labels.strip()) for name, kind, labels in _ROW.findall(PAGE.read_text("utf-8"))}
    assert described == registered


async def test_they_are_served_in_the_form_of_prometheus_without_a_token(admin: Caller) -> None:
    answer = await admin("GET", "/metrics", headers={"Authorization": ""})
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search(r"^headrace_http_requests_under_way 1\.0$", answer.text, re.MULTILINE)
    assert "_created" not in answer.text
