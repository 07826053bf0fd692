"""Where rows of a sync are written: every function of the engine and of the stream that names such a statement."""

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import headrace
from headrace.db.queries import parse

ROOT = Path(headrace.__file__).parent
_SCHEMA = "\n".join(path.read_text() for path in sorted((ROOT / "db" / "migrations").glob("*.sql")))
_BODIES = dict(re.findall(r"create table (?:if not exists )?(\w+) \((.*?)\n\)", _SCHEMA, re.DOTALL))
TABLES = {
    name
    for name, body in _BODIES.items()
    if re.search(r"^  stream_id uuid", body, re.MULTILINE)
    and (re.search(r"^  sync_id uuid", body, re.MULTILINE) or f"alter table {name} add column sync_id" in _SCHEMA)
} | {"sweep_seen"}
"""Whose rows are a sync's own: they name it, or a sweep of it."""

_NAMES = "|".join(sorted(TABLES, key=len, reverse=True))
_WRITE = re.compile(rf"\b(?:insert into|update|delete from)\s+({_NAMES})\b")
_COPIES = ("copy_to_table", "copy_records_to_table")


def statements() -> dict[str, set[str]]:
    """Text → names (`folder.file.block`) of the statements that write such rows."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(ROOT.rglob("*.sql")):
        if path.parent.name == "migrations":
            continue
        for name, block in parse(path.name, path.read_text()):
            if _WRITE.search(re.sub(r"--.*", "", block)):
                found[block].add(f"{_dotted(path)}.{name}")
    return dict(found)


def sites() -> dict[str, set[str]]:
    """Function (`folder.module.function`) → texts of the statements that it names, or `copy TABLE`."""
    known = statements()
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(ROOT.rglob("*.py")):
        if "testing" in path.parts or "load(__package__" not in (source := path.read_text()):
            continue
        module = importlib.import_module(f"headrace.{_dotted(path).removesuffix('.__init__')}")
        for place, node in _places(ast.parse(source), _dotted(path)):
            if isinstance(node, ast.Name):
                found[place].update(text for text in _texts(getattr(module, node.id, None)) if text in known)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _COPIES:
                table = ast.literal_eval(node.args[0])
                found[place].update([f"copy {table}"] if table in TABLES else [])
    return {place: texts for place, texts in found.items() if texts}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _places(node: ast.AST, place: str, inside: bool = False) -> Iterator[tuple[str, ast.AST]]:
    """Every node of every function, with the function that it is in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _places(child, f"{place}.{child.name}", inside or not isinstance(child, ast.ClassDef))
        else:
            if inside:
                yield place, child
            yield from _places(child, place, inside)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for each in value for text in _texts(each)] if isinstance(value, tuple) else []
