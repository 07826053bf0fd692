"""Faults of lists, beyond those of every provider server.

`foreign_link` the next page is said to be at another host (`host`) · `endless_link` each page leads to itself ·
`repeated_rows` a page begins with its own first row twice · `delete_while_paging` an object of the list is deleted
before each page · `unknown_field` every row has a field that nobody knows · `no_link` lists that page by number bear no
Link header.
"""

from typing import Any

from headrace.testing.exchange import Call
from headrace.testing.faults import Faults
from headrace.testing.github.catalog import NEVER_DELETED
from headrace.testing.github.world import World

LIST_KINDS = frozenset(
    {"foreign_link", "endless_link", "repeated_rows", "delete_while_paging", "unknown_field", "no_link"}
)


class PagingFaults:
    """Bends the pages of lists while such faults stand."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def before(self, world: World, path: str) -> None:
        """What happens before a page is cut."""
        if self._faults.strikes("delete_while_paging", path) is None:
            return
        for place in world.repositories.values():
            for name, things in place.things.items():
                if things and name not in NEVER_DELETED and name in path.replace("-", "_"):
                    world.delete(name, next(iter(things)), place.id)
                    return

    def page(
        self, rows: list[Any], links: dict[str, str], base: str, call: Call
    ) -> tuple[list[Any], dict[str, str], str]:
        """The rows, the links and the host that is named in them."""
        faults, path = self._faults, call.path
        if faults.strikes("unknown_field", path):
            rows = [{**row, "headrace_test_field": {"new": True}} for row in rows]
        if rows and faults.strikes("repeated_rows", path):
            rows = [rows[0], *rows]
        if faults.strikes("endless_link", path):
            links = {**links, "next": f"page={dict(call.query).get('page', '1')}"}
        if not links.get("next", "").startswith("after=") and faults.strikes("no_link", path):
            links = {}
        if "next" in links and (fault := faults.strikes("foreign_link", path)):
            base = fault.option("host", "http://attacker.invalid")
        return rows, links, base
