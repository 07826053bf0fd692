"""Locators that lead back to where they were are not followed for ever."""

from datetime import UTC, datetime

import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.kit import EVERYTHING, Context, Faulted
from headrace.providers.kit.checks import drive
from headrace.providers.salesforce.describe import Shape
from headrace.providers.salesforce.links import LINK, Links
from headrace.providers.salesforce.objects import SObject

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({}, NOW)
FIELDS = (("Id", "id"), ("ContentDocumentId", "reference"))
MOST = 50


class Circle:
    """Answers each query with one row and a locator; the locators lead around in a circle of this length."""

    def __init__(self, length: int, rows: int = 1) -> None:
        self.length, self.rows, self.asked = length, rows, 0

    def __call__(self, request: Request) -> Response:
        self.asked += 1
        assert self.asked < MOST, "it is read for ever"
        at = int(request.url.rpartition("-")[2]) if "/query/" in request.url else -1
        locator = f"/services/data/v65.0/query/0r8x-{(at + 1) % self.length}"
        rows = [{"Id": f"00{at}", "ContentDocumentId": "069"}] * self.rows
        return Response(200, orjson.dumps({"records": rows, "done": False, "nextRecordsUrl": locator}), NOW)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_links_of_files_are_not_read_in_a_circle(length: int) -> None:
    circle = Circle(length)
    links = Links(Shape(LINK, FIELDS, updated=None, created=None))
    with pytest.raises(Faulted, match="circles") as told:
        drive(links.listing(CTX, EVERYTHING, None), circle)
    assert told.value.fault.kind == "transient"
    assert circle.asked <= 2 + length


@pytest.mark.parametrize("length", [1, 2, 7])
def test_answers_without_rows_are_not_read_in_a_circle(length: int) -> None:
    with pytest.raises(Faulted, match="circles"):
        drive(SObject(Shape("Account", FIELDS[:1])).page(CTX, EVERYTHING, None), Circle(length, rows=0))
