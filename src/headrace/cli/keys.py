"""`headrace keys`: the master keys that protect credentials. Works on the database itself, with HEADRACE_SECRET_KEY."""

import base64
import secrets
from typing import TYPE_CHECKING

import typer

from headrace.cli import output
from headrace.cli.output import AsJson
from headrace.cli.process import DataDir, run, settings_from

if TYPE_CHECKING:
    from headrace.settings import Settings
    from headrace.vault.keys import KeyStatus

app = typer.Typer(no_args_is_help=True, help="Master keys. Those of this process come from HEADRACE_SECRET_KEY.")


@app.command()
def generate() -> None:
    """Print a new master key, for HEADRACE_SECRET_KEY. Nothing is stored."""
    print(base64.b64encode(secrets.token_bytes(32)).decode())


@app.command()
def status(data_dir: DataDir = None, json: AsJson = False) -> None:
    """Which master keys wrap how much, which are missing, and which may be taken away."""
    found = run(_status(settings_from(data_dir=data_dir)))
    rows = [
        {
            "id": key,
            "wraps": found.wraps.get(key, 0),
            "given": key in found.given,
            "encrypts": key == found.given[0],
            "removable": key in found.removable,
        }
        for key in sorted({*found.given, *found.wraps})
    ]
    output.table(rows, ["id", "wraps", "given", "encrypts", "removable"], json)


@app.command()
def rotate(data_dir: DataDir = None) -> None:
    """Wrap everything with the first key of HEADRACE_SECRET_KEY=new,old. Every process must have both by then."""
    count = run(_rotate(settings_from(data_dir=data_dir)))
    print(f"{count} data keys are wrapped anew. `headrace keys status` says whether the old master key may go.")


@app.command()
def replace(data_dir: DataDir = None) -> None:
    """Give each organisation a new data key and seal every secret with it. Processes may run meanwhile."""
    orgs, values = run(_replace(settings_from(data_dir=data_dir)))
    print(f"{orgs} organisations have a new data key; {values} secrets are sealed with it.")


async def _replace(settings: "Settings") -> tuple[int, int]:
    from headrace.cli.database import connection
    from headrace.clock import DatabaseClock
    from headrace.vault.keys import Keyring
    from headrace.vault.resealing import replace_data_keys

    async with connection(settings) as conn:
        return await replace_data_keys(conn, Keyring.load(settings, settings.key_dir), DatabaseClock().now())


async def _status(settings: "Settings") -> "KeyStatus":
    from headrace.cli.database import connection
    from headrace.vault.keys import Keyring

    async with connection(settings) as conn:
        return await Keyring.load(settings, settings.key_dir).status(conn)


async def _rotate(settings: "Settings") -> int:
    from headrace.cli.database import connection
    from headrace.vault.keys import Keyring

    async with connection(settings) as conn:
        return await Keyring.load(settings, settings.key_dir).rotate(conn)
