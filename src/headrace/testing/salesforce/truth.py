"""What the org holds, in the connector's words: the truth that laws compare copies with."""

from collections.abc import Iterator

import orjson

from headrace.testing.salesforce.org import Org, rendered

_LEFT_OUT = frozenset({"address", "location", "base64"})


class Truth:
    """Called with a collection id of the connector: (id, raw JSON) of every row that is not deleted and that the user
    may see, with every field that he may see but compound ones and contents."""

    def __init__(self, org: Org, version: str = "v65.0") -> None:
        self._org = org
        self._version = version

    def __call__(self, collection_id: str) -> Iterator[tuple[str, bytes]]:
        name = self.name(collection_id)
        table = self._org.tables[name]
        names = [each.name for each in table.visible_fields if each.type not in _LEFT_OUT]
        for row in list(self._org.alive(name)):
            if self._org.seen(table, row["Id"]):
                yield row["Id"], orjson.dumps(rendered(table, row, names, self._version))

    def name(self, collection_id: str) -> str:
        """The object of a collection."""
        asked = collection_id.removeprefix("salesforce:").replace("_", "").lower()
        return next(name for name in self._org.tables if name.replace("_", "").lower() == asked)
