"""How much the connectors have to say: `python scripts/connector_lines.py` prints the table.

Of each provider with collections: its files, the longest of them, its lines (blank ones, comments and docstrings left
out) and those for each collection. Of the worked example in docs/connectors.md: what each of its collections takes,
with everything that it uses, but for what belongs to the whole provider.
"""

import ast
import re
from pathlib import Path

from headrace.providers import SLUGS, installed, readable

ROOT = Path(__file__).parents[1]
PROVIDERS = ROOT / "src" / "headrace" / "providers"


def code_lines(tree: ast.AST) -> set[int]:
    """The lines on which there is code: neither blank, nor a comment, nor of a docstring alone."""
    documents = {
        id(body[0].value)
        for node in ast.walk(tree)
        if (body := getattr(node, "body", None)) and isinstance(body, list)
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    }
    lines: set[int] = set()
    for node in ast.walk(tree):
        told = id(node.value if isinstance(node, ast.Expr) else node) in documents
        if isinstance(node, (ast.expr, ast.stmt, ast.alias, ast.arg)) and not told:
            assert node.end_lineno is not None
            lines |= {node.lineno, node.end_lineno}
    return lines


def example() -> dict[str, int]:
    """The lines that each collection of the worked example takes, by its id."""
    text = (ROOT / "docs" / "connectors.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    tree = ast.parse(found[1])
    made: dict[str, ast.stmt] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            made[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            made[statement.targets[0].id] = statement
    return {str(_id(call)): len(_with_what_it_uses(call, made)) for call in ast.walk(tree) if _is_collection(call)}


def _is_collection(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Collection"


def _id(node: ast.AST) -> object:
    assert isinstance(node, ast.Call)
    return next(each.value.value for each in node.keywords if each.arg == "id" and isinstance(each.value, ast.Constant))


def _with_what_it_uses(node: ast.AST, made: dict[str, ast.stmt]) -> set[int]:
    lines, waiting, seen = code_lines(node), [node], set()
    while waiting:
        for inner in ast.walk(waiting.pop()):
            if isinstance(inner, ast.Name) and inner.id in made and inner.id not in seen:
                seen.add(inner.id)
                waiting.append(made[inner.id])
                lines |= code_lines(made[inner.id])
    return lines


def main() -> None:
    print(f"{'provider':<12} {'collections':>11} {'files':>6} {'longest':>8} {'lines':>6} {'each':>6}")
    for slug in sorted(SLUGS):
        provider = installed().get(slug)
        if provider is None or not readable(provider):
            continue
        texts = [path.read_text() for path in (PROVIDERS / slug).rglob("*.py")]
        longest = max(text.count("\n") for text in texts)
        lines = sum(len(code_lines(ast.parse(text))) for text in texts)
        count = len(provider.collections)
        print(f"{slug:<12} {count:>11} {len(texts):>6} {longest:>8} {lines:>6} {lines / max(count, 1):>6.1f}")
    for collection, lines in example().items():
        print(f"{collection:<12} {lines:>3} lines, in the worked example")


if __name__ == "__main__":
    main()
