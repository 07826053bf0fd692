"""What a connector takes in the kit stays small, and what is one provider's stays in its module."""

import re
import runpy
from pathlib import Path

import pytest

from headrace.providers import SLUGS, installed

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "headrace"
MEASURE = runpy.run_path(str(ROOT / "scripts" / "connector_lines.py"))

PLAIN, WITH_DELETES_AND_CHILDREN, MODULE = 40, 100, 400


def test_a_collection_of_the_worked_example_takes_few_lines() -> None:
    lines = MEASURE["example"]()
    assert lines.keys() == {"mill:sack", "mill:ticket"}
    # Each of them is more than plain: sacks are fetched and found to be gone, tickets are children.
    assert max(lines.values()) <= PLAIN
    assert sum(lines.values()) <= WITH_DELETES_AND_CHILDREN


def test_the_measure_counts_code_and_neither_comments_nor_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        *('"""Of the module."""', "", "# a reason", "x = (", "    1", ")", ""),
        *("def f(y: int) -> None:", '    """Of f,', "", '    at length."""', "    match y:", "        case _:"),
        *("            # a reason", "            try:", "                pass", "            finally:"),
        *("                print(", "                    y,", "                )"),
    ]
    code = {number for number, line in enumerate(lines, 1) if line} - {1, 3, 9, 11, 14}
    assert MEASURE["code_lines"]("\n".join(lines)) == code
    MEASURE["main"]()
    table = capsys.readouterr().out
    assert all(slug in table for slug in ("github", "linear", "hubspot", "salesforce", "airtable", "stripe"))


@pytest.mark.parametrize("slug", [*SLUGS, "kit"])
def test_no_module_of_a_connector_is_long(slug: str) -> None:
    lengths = {path.name: path.read_text().count("\n") for path in (SOURCE / "providers" / slug).rglob("*.py")}
    assert lengths
    assert {name: length for name, length in lengths.items() if length > MODULE} == {}


NAMES = {slug: {slug, provider.name} for slug in SLUGS if (provider := installed().get(slug)) is not None}
ELSEWHERE = {
    "providers/__init__.py": "the slugs of the contract",
    "vault/grants.py": "the ways to a token are told by the provider that has them",
    "vault/oauth_apps.py": "an OAuth app holds what a GitHub App needs",
    "cli/oauth_apps.py": "the words that explain these options",
    "cli/credentials.py": "examples in the help",
    "cli/syncs.py": "examples in the help",
    "api/providers.py": "an example in the description",
    "client/__init__.py": "an example in the docstring",
    "cli/demo.py": "the demo runs on the server of one provider",
    "cli/demo_screen.py": "the demo runs on the server of one provider",
    "cli/demonstration.py": "the demo runs on the server of one provider",
    "console/templates/welcome.html": "an example of a first sync",
    "testing/__init__.py": "lists the servers that there are",
    "testing/oauth/accounts.py": "one authorisation server plays every provider's",
    "testing/oauth/grants.py": "one authorisation server plays every provider's",
    "testing/oauth/server.py": "one authorisation server plays every provider's",
}
"""The files that name a provider beside its own module and its own server, and why."""
_ADDRESS = re.compile(r"https?://\S+|github\.com/\S+|npm `?@\S+")


def test_no_provider_is_named_outside_its_module() -> None:
    naming: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix not in (".py", ".sql", ".html", ".js") or "vendor" in path.parts:
            continue
        place = path.relative_to(SOURCE)
        text = _ADDRESS.sub("", path.read_text())
        for slug, names in NAMES.items():
            own = place.parts[:2] in (("providers", slug), ("testing", slug))
            word = re.compile(r"(?<![A-Za-z])(?:" + "|".join(map(re.escape, names)) + r")(?![a-z])", re.IGNORECASE)
            if not own and word.search(text):
                naming.setdefault(str(place), set()).add(slug)
    assert naming.keys() - ELSEWHERE.keys() == set(), naming
    assert ELSEWHERE.keys() - naming.keys() == set(), "these name no provider any more"
