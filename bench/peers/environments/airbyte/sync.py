"""A run of Airbyte: a source in its declarative language, read by its CDK.

`sync.py postgres` lets PyAirbyte write into PostgreSQL, as its users do who do not run Airbyte's platform. It reads
what changed since the state that it keeps in that database. `sync.py output FILE` writes the messages of the source to
a file instead, which is as far as the CDK itself goes.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

MANIFEST = Path(__file__).with_name("manifest.yaml")


def manifest() -> dict[str, Any]:
    """The manifest, with the schemas of the streams in their places."""
    made = yaml.safe_load(MANIFEST.read_text())
    schemas = json.loads(Path(os.environ["PEER_SCHEMAS"]).read_text())
    for stream in made["streams"]:
        properties = schemas[stream["name"]]["properties"]
        added = {"updated": {"type": ["null", "integer"]}, "is_deleted": {"type": ["null", "boolean"]}}
        schema = {"type": "object", "properties": {**properties, **added}, "additionalProperties": True}
        for way in ("full_refresh_stream", "incremental_stream"):
            stream[way]["schema_loader"] = {"type": "InlineSchemaLoader", "schema": schema}
    return made


def config() -> dict[str, str]:
    names = {"url": "PEER_URL", "key": "PEER_KEY", "version": "PEER_VERSION"}
    return {name: os.environ[variable] for name, variable in names.items()}


def into_postgres() -> None:
    import airbyte
    import pandas
    from airbyte.caches import PostgresCache

    # PyAirbyte reads its files as pandas guesses: a field whose name ends in _at is a date, so that no invoice of
    # Stripe's could be written (they are whole seconds), and "+15550100" is a number. It is told to guess nothing.
    pandas.read_json = partial(pandas.read_json, convert_dates=False, dtype=False)
    database = urlsplit(os.environ["PEER_DATABASE"])
    cache = PostgresCache(
        host=database.hostname,
        port=database.port,
        username=database.username,
        password=database.password,
        database=database.path.lstrip("/"),
        schema_name="airbyte_copy",
        cache_dir=Path(os.environ["PEER_STATE"]),
    )
    # As a program: PyAirbyte's own executor of manifests makes the source without its state, and so would read
    # everything at each run.
    program = Path(sys.executable).with_name("source-declarative-manifest")
    told = {**config(), "__injected_declarative_manifest": manifest()}
    source = airbyte.get_source("source-declarative-manifest", config=told, local_executable=program)
    source.select_streams(["customers", "invoices"])
    source.read(cache=cache)


def into_file(path: str) -> None:
    from airbyte_cdk.cli.source_declarative_manifest import run

    folder = Path(os.environ["PEER_STATE"])
    streams = [
        {
            "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
            "sync_mode": "incremental",
            "destination_sync_mode": "append_dedup",
        }
        for name in ("customers", "invoices")
    ]
    (folder / "catalog.json").write_text(json.dumps({"streams": streams}))
    (folder / "config.json").write_text(json.dumps({**config(), "__injected_declarative_manifest": manifest()}))
    with open(path, "w") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        sys.argv[1:] = ["read", "--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
        run()


if __name__ == "__main__":
    if sys.argv[1] == "postgres":
        into_postgres()
    else:
        into_file(sys.argv[2])
