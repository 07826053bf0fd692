"""`headrace consume`: a consumer in the shell."""

import contextlib
import signal
import subprocess
from typing import Annotated

import typer

from headrace.cli.connection import connected, id_of
from headrace.cli.output import complain, json_line
from headrace.client import ClientError, Message
from headrace.jsontext import dumps

_COMMAND_ENDS_S = 5.0


def consume(
    consumer: Annotated[str, typer.Argument(metavar="CONSUMER", help="Name or id.")],
    batch: Annotated[int, typer.Option(help="Messages a call.", min=1, max=1000)] = 100,
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec",
            help="Run this in the shell for each record, given as a JSON line on its standard input. "
            "Exit code 0 acks the record; any other gives it back.",
            metavar="COMMAND",
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="End after so many messages; 0: go on for ever.", min=0)] = 0,
    retry_after_ms: Annotated[int, typer.Option(help="A record given back comes again after this.", min=0)] = 1000,
) -> None:
    """Print each record as it comes, one JSON line each, and ack it; or run a command with it."""
    _end_on_sigterm()
    with connected() as api:
        found = id_of(api.consumers, consumer)
        ack_wait_s = api.consumers.get(found)["ack_wait_ms"] / 1000
        done = 0
        with api.consumers.consume(found, batch_size=min(batch, count or batch)) as messages:
            for message in messages:
                if exec_ is None:
                    with message:
                        json_line(message.record)
                elif _taken(exec_, message, ack_wait_s):
                    message.ack()
                    messages.flush()
                else:
                    message.nack(retry_after_ms)
                done += 1
                if done == count:
                    return


def _taken(command: str, message: Message, ack_wait_s: float) -> bool:
    """Whether the command took the record. Cut short in its midst (Ctrl-C), it is ended and the record given back."""
    with subprocess.Popen(command, shell=True, stdin=subprocess.PIPE) as process:  # noqa: S602 - that is what it is for
        try:
            _run(process, message, ack_wait_s)
        except BaseException:
            _end(process)
            with contextlib.suppress(ClientError):  # what cut it short is to be seen
                message.nack()
            raise
    if process.returncode:
        complain(
            f"exit code {process.returncode} for {message.record['collection_id']} {message.record['upstream_id']}"
        )
    return process.returncode == 0


def _run(process: subprocess.Popen[bytes], message: Message, ack_wait_s: float) -> None:
    """Give it the record. While it works, the message is kept from being delivered again."""
    given: bytes | None = dumps(message.record) + b"\n"
    while True:
        try:
            process.communicate(given, timeout=max(0.1, ack_wait_s / 3))
            return
        except subprocess.TimeoutExpired:
            message.extend()
            given = None  # what communicate could not write yet, it goes on writing


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL after a while: a record that is given back must not be worked on here any more."""
    process.terminate()
    try:
        process.wait(_COMMAND_ENDS_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _end_on_sigterm() -> None:
    """As with Ctrl-C: acks that were gathered are sent, and what was not begun is given back."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
