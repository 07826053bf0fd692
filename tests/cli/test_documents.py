"""What the documents say of commands, settings and routes is what there is."""

import re
from pathlib import Path

import click
import pytest
from typer.main import get_command

from headrace.api.later import LATER
from headrace.cli.app import app
from headrace.settings import Settings

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, click.Command] = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_document_tells_every_command(name: str) -> None:
    document = (ROOT / "docs/cli.md").read_text()
    row = next((line for line in document.splitlines() if line.startswith(f"| `headrace {name}")), "")
    assert row, f"docs/cli.md has no row for headrace {name}"
    for verb in getattr(COMMANDS[name], "commands", {}):
        assert f"`{verb}`" in row


def test_the_command_line_document_tells_of_no_command_that_is_not_there() -> None:
    document = (ROOT / "docs/cli.md").read_text()
    told = set(re.findall(r"^\| `headrace (\S+?)[` ]", document, re.MULTILINE))
    assert told == set(COMMANDS)


def test_every_command_and_option_says_what_it_is_for() -> None:
    for name, command in COMMANDS.items():
        for verb, inner in getattr(command, "commands", {name: command}).items():
            assert inner.help, f"headrace {name} {verb} has no help"


def test_the_operations_document_tells_every_setting() -> None:
    document = (ROOT / "docs/operations.md").read_text()
    missing = [name for name in Settings.model_fields if f"`HEADRACE_{name.upper()}`" not in document]
    assert not missing


def test_the_readme_lists_the_routes_that_answer_501_and_no_others() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `/")]
    listed = {path for row in rows for path in re.findall(r"`(/\S+)`", row.split("|")[1])}
    assert listed == {path.replace(":path}", "}") for path, _ in LATER}


DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_documents_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text())
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not broken


def test_the_front_page_leads_to_every_document() -> None:
    front = (ROOT / "docs/README.md").read_text()
    apart = {"decisions", "providers"}  # told of as folders
    missing = [
        path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md" and f"({path.name})" not in front
    ]
    assert not missing
    assert all(f"({folder}/)" in front for folder in apart)
