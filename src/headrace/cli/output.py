"""What commands print: tables for people, JSON for programs, complaints for both."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.jsontext import dumps

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and do nothing.")]


_TO_THE_SECOND = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$")


def complain(*lines: str) -> None:
    """Say on standard error what is wrong."""
    for line in lines:
        print(f"headrace: {line}", file=sys.stderr)


def json_line(value: Any) -> None:
    """One line of JSON, numbers with every digit that they came with."""
    print(dumps(value).decode(), flush=True)


def json_lines_as_array(values: Iterable[Any]) -> None:
    print("[", end="")
    for position, value in enumerate(values):
        print(",\n " if position else "", dumps(value).decode(), sep="", end="")
    print("]")


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool, empty: str = "None.") -> None:
    """The rows as a table of these columns; `a.b` is field b of object a. Or, as JSON, whole."""
    if as_json:
        json_lines_as_array(rows)
        return
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        drawn.add_column(column.replace("_", " "), no_wrap=column in ("id", "status"))
    for row in rows:
        drawn.add_row(*(escape(_TO_THE_SECOND.sub(r"\1Z", text(_at(row, column)))) for column in columns))
    _console().print(drawn if drawn.row_count else empty)


def one(value: Mapping[str, Any], as_json: bool) -> None:
    """One object, a line a field."""
    if as_json:
        json_line(value)
        return
    drawn = Table(box=None, show_header=False, pad_edge=False)
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, shown in _lines("", value):
        drawn.add_row(name, escape(shown))
    _console().print(drawn)


_WHOLE = frozenset({"metadata", "schema", "data"})
"""Objects whose fields are not ours: shown as JSON."""


def _lines(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields and what stands in them: an object within as `a.b`, one with a life of its own by name and id, several
    notes a line each."""
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner and name not in _WHOLE:
            if "id" in inner:
                yield prefix + name, f"{text(inner.get('name'))} ({inner['id']})"
            else:
                yield from _lines(f"{prefix}{name}.", inner)
        elif name == "notes" and inner:
            yield prefix + name, "\n".join(text(note) for note in inner)
        else:
            yield prefix + name, text(inner)


def text(value: Any) -> str:
    """A value as a cell shows it."""
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return dumps(value).decode()


def plan(value: Mapping[str, Any], as_json: bool) -> None:
    """What a dry run would do."""
    if as_json:
        json_line(value)
        return
    for each in value["backfill"]:
        print(f"would read {each['collection_id']} from the start ({_cost(each)})")
    for each in value["purge"]:
        print(f"would take {each['records']} records of {each['collection_id']} out of the stream")
    if value.get("affects"):
        print(f"would affect {', '.join(value['affects'])}")
    if not (value["backfill"] or value["purge"] or value.get("affects")):
        print("would change nothing in the stream")


def _cost(backfill: Mapping[str, Any]) -> str:
    requests, seconds = backfill["requests"], backfill["seconds"]
    if requests is None:
        return "nobody can tell how many requests that takes"
    told = f"{'' if backfill['exact'] else 'about '}{requests:,} request{'' if requests == 1 else 's'}"
    return told if seconds is None else f"{told}, {seconds:,} s at least"


def _at(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _console() -> Console:
    """Wide when it is no terminal: a pipe must not get its columns folded."""
    return Console(width=None if sys.stdout.isatty() else 250, highlight=False)
