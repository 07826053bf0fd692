"""Query jobs of Bulk API 2.0: made, worked on, their result in pieces of CSV.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch (Query Jobs).
"""

import csv
import io
from dataclasses import dataclass
from typing import Any

from headrace.testing.exchange import Reply
from headrace.testing.salesforce import soql
from headrace.testing.salesforce.answers import Refusal, not_there
from headrace.testing.salesforce.catalog import Field
from headrace.testing.salesforce.org import Org
from headrace.testing.salesforce.soql import Row

_NOT_CARRIED = frozenset({"address", "location", "base64"})


@dataclass(slots=True)
class Job:
    """A job and its result, which is that of the moment at which it was made."""

    id: str
    query: str
    operation: str
    name: str
    fields: list[Field]
    rows: list[Row]
    done_at: float
    fails: bool = False

    def render(self, now: float, version: str) -> dict[str, Any]:
        state = "InProgress" if now < self.done_at else "Failed" if self.fails else "JobComplete"
        return {
            "id": self.id,
            "operation": self.operation,
            "object": self.name,
            "state": state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(version.removeprefix("v")),
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
            "jobType": "V2Query",
            "numberRecordsProcessed": len(self.rows) if state == "JobComplete" else 0,
        }


class Jobs:
    """The jobs of an org."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._jobs: dict[str, Job] = {}

    def make(self, said: dict[str, Any], now: float, takes_s: float, *, fails: bool) -> Job:
        """Raises Refusal, Malformed."""
        operation = said.get("operation")
        if operation not in ("query", "queryAll"):
            raise Refusal("INVALIDJOB", f"Invalid value for operation: {operation}")
        query = soql.parse(str(said.get("query", "")))
        table = self._org.table(query.name)
        known = {name.lower(): field for name, field in table.fields.items()}
        rows = self._org.select(query, deleted=operation == "queryAll")
        fields = [known[name.lower()] for name in query.fields]
        if carried := [field.name for field in fields if field.type in _NOT_CARRIED]:
            raise Refusal(
                "FUNCTIONALITY_NOT_ENABLED", f"Selecting compound data not supported in Bulk Query: {carried}"
            )
        key = f"750Hr{len(self._jobs):010}AAA"
        job = Job(key, str(said["query"]), operation, table.type.name, fields, rows, now + takes_s, fails)
        self._jobs[key] = job
        return job

    def get(self, key: str) -> Job:
        if key not in self._jobs:
            raise not_there()
        return self._jobs[key]

    def abort(self, key: str) -> None:
        self.get(key)
        del self._jobs[key]

    def result(self, key: str, locator: str | None, most: int, now: float) -> Reply:
        """A piece of the result, with the locator of the next, `null` at the end."""
        job = self.get(key)
        if now < job.done_at or job.fails:
            raise Refusal("INVALIDJOBSTATE", "The job must be complete", 400)
        at = int(locator, 36) if locator else 0
        rows = job.rows[at : at + most]
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([field.name for field in job.fields])
        writer.writerows([_cell(field, row[field.name]) for field in job.fields] for row in rows)
        following = _base36(at + most) if at + most < len(job.rows) else "null"
        headers = (("Sforce-Locator", following), ("Sforce-NumberOfRecords", str(len(rows))))
        return Reply(200, text.getvalue().encode(), headers, "text/csv")


def _cell(field: Field, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if field.type == "datetime":
        return str(value).replace("+0000", "Z")
    return str(value)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"
