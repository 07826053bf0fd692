"""`headrace serve`."""

import resource
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headrace.cli.process import DataDir, give_memory_back, run, settings_from, spare_the_collector

if TYPE_CHECKING:
    from headrace.server import Running


def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [HEADRACE_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one [HEADRACE_PORT, 7370].")] = None,
    role: Annotated[
        Literal["all", "api", "worker"] | None,
        typer.Option(help="api answers requests, worker keeps syncs running, all does both [HEADRACE_ROLE, all]."),
    ] = None,
    log_format: Annotated[Literal["json", "text"] | None, typer.Option(help="[HEADRACE_LOG_FORMAT, json]")] = None,
) -> None:
    """Run Headrace, until SIGTERM or Ctrl-C.

    With HEADRACE_DATABASE_URL it uses that PostgreSQL (15 or newer), which any number of processes may share; without,
    it starts one of its own under the data folder. The first start makes an organisation and its admin token, and
    prints the token once, unless HEADRACE_API_TOKEN gives it.
    """
    from headrace import log, server

    # A core dump would hold every secret that is open at the moment.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    give_memory_back()
    settings = settings_from(data_dir=data_dir, host=host, port=port, role=role, log_format=log_format)
    log.configure(settings.log_format, settings.log_level)
    run(server.serve(settings, _started))


def _started(server: "Running") -> None:
    spare_the_collector()
    role = server.services.settings.role
    seen = "" if role == "worker" else f" (console: {server.url}/, reference: {server.url}/docs)"
    print(f"Headrace is serving on {server.url}{seen}", file=sys.stderr)
    if server.token_is_new:
        print(
            f"\nThe admin token of this installation. It is shown this once: keep it.\n\n"
            f"    export HEADRACE_API_TOKEN={server.token}\n",
            file=sys.stderr,
        )
    sys.stderr.flush()
