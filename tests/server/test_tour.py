"""The README's five minutes with curl, pasted into a shell beside a running demo."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from headrace.testing.processes import CommandProcess

README = Path(__file__).parents[2] / "README.md"


def tour() -> list[str]:
    """The blocks of shell under that heading, but for the first line, which names an example's address."""
    part = README.read_text().partition("## Five minutes with curl")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    assert blocks[0].startswith("export HEADRACE_URL=")
    return [blocks[0].partition("\n")[2], *blocks[1:]]


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash")
async def test_the_tour_works_when_it_is_pasted(tmp_path: Path) -> None:
    arguments = ("--records", "300", "--port", "0", "--data-dir", str(tmp_path / "demo"))
    async with CommandProcess("demo", *arguments) as demo:
        exported = (await demo.line("export HEADRACE_URL=")).strip()
        await demo.line("The whole account has arrived")
        # Each block ends the shell when one of its calls is refused.
        script = "\n".join(["set -e", exported, *tour()]).replace("curl -sS", "curl -sS --fail-with-body")
        shell = await asyncio.create_subprocess_exec(
            "bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=README.parent
        )
        printed = (await shell.communicate())[0].decode()
        assert shell.returncode == 0, printed
        assert "Traceback" not in printed
        assert '"ack_token"' in printed
        assert '"dry_run":true' in printed
        assert '"status":"disabled"' in printed
        await demo.stop()
