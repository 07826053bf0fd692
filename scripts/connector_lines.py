"""How much the connectors have to say: `python scripts/connector_lines.py` prints the table.

Of each provider with collections: its files, the longest of them, its lines (blank ones, comments and docstrings left
out) and those for each collection. Of the worked example in docs/connectors.md: what each of its collections takes,
with everything that it uses, but for what belongs to the whole provider.
"""

import ast
import re
import tokenize
from io import StringIO
from pathlib import Path

from headrace.providers import SLUGS, installed, readable

ROOT = Path(__file__).parents[1]
PROVIDERS = ROOT / "src" / "headrace" / "providers"


def code_lines(text: str) -> set[int]:
    """The lines on which there is code: neither blank, nor a comment, nor of a docstring."""
    empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = [token for token in tokenize.generate_tokens(StringIO(text).readline) if token.type not in empty]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return lines - {line for node in ast.walk(ast.parse(text)) for line in _docstring(node)}


def _docstring(node: ast.AST) -> range:
    body = getattr(node, "body", None)
    if not isinstance(body, list) or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Constant):
        return range(0)
    return _span(body[0])


def _span(node: ast.stmt | ast.expr) -> range:
    assert node.end_lineno is not None
    return range(node.lineno, node.end_lineno + 1)


def example() -> dict[str, int]:
    """The lines that each collection of the worked example takes, by its id."""
    text = (ROOT / "docs" / "connectors.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    tree, lines = ast.parse(found[1]), code_lines(found[1])
    made: dict[str, ast.stmt] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            made[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            made[statement.targets[0].id] = statement
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_collection(node)]
    return {str(_id(call)): len(lines & _with_what_it_uses(call, made)) for call in calls}


def _is_collection(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "Collection"


def _id(node: ast.Call) -> object:
    return next(each.value.value for each in node.keywords if each.arg == "id" and isinstance(each.value, ast.Constant))


def _with_what_it_uses(call: ast.Call, made: dict[str, ast.stmt]) -> set[int]:
    lines, seen = set(_span(call)), set()
    waiting: list[ast.AST] = [call]
    while waiting:
        for inner in ast.walk(waiting.pop()):
            if isinstance(inner, ast.Name) and inner.id in made and inner.id not in seen:
                seen.add(inner.id)
                waiting.append(made[inner.id])
                lines |= {*_span(made[inner.id])}
    return lines


def main() -> None:
    print(f"{'provider':<12} {'collections':>11} {'files':>6} {'longest':>8} {'lines':>6} {'each':>6}")
    for slug in sorted(SLUGS):
        provider = installed().get(slug)
        if provider is None or not readable(provider):
            continue
        texts = [path.read_text() for path in (PROVIDERS / slug).rglob("*.py")]
        longest = max(text.count("\n") for text in texts)
        lines = sum(len(code_lines(text)) for text in texts)
        count = len(provider.collections)
        print(f"{slug:<12} {count:>11} {len(texts):>6} {longest:>8} {lines:>6} {lines / max(count, 1):>6.1f}")
    for collection, lines in example().items():
        print(f"{collection:<12} {lines:>3} lines, in the worked example")


if __name__ == "__main__":
    main()
