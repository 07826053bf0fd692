"""A child process that does not outlive this one, run as a user without privileges where this one is root."""

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

_PR_SET_PDEATHSIG = 1
_NEVER_ROOT = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int


def unprivileged() -> Account | None:
    """Whom a server is run as: None, this very user, unless it is root; then the first of postgres and nobody.

    PostgreSQL refuses to run as root. No user is made: a program that is only started should not leave users behind.
    """
    if os.geteuid() != 0:
        return None
    for name in _NEVER_ROOT:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError(
        "PostgreSQL does not run as root, and this system has neither a user 'postgres' nor 'nobody'. "
        "Start headrace as an ordinary user, or set HEADRACE_DATABASE_URL to a PostgreSQL that runs already."
    )


def run(command: Sequence[str], account: Account | None, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end as `account`, its output caught."""
    return subprocess.run(  # noqa: S603 - the commands are ours
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **_identity(account)
    )


def reaches(account: Account | None, path: Path) -> bool:
    """Whether `account` may enter the folder, or read the file, at `path`: told by trying."""
    test = 'if test -d "$0"; then test -r "$0" && test -x "$0"; else test -r "$0"; fi'
    return account is None or run(["/bin/sh", "-c", test, str(path)], account, Path("/")).returncode == 0


class Child:
    """A long-lived child. When this process dies, however it dies, the child is sent SIGINT.

    On Linux by the kernel (PR_SET_PDEATHSIG), which follows the thread that started the child: start it from one that
    lives as long as the child shall. Elsewhere by a shell that waits for the end of a pipe which only this process
    holds open.
    """

    def __init__(
        self,
        command: Sequence[str],
        account: Account | None,
        cwd: Path,
        log: IO[bytes],
        *,
        by_pipe: bool = sys.platform != "linux",
    ) -> None:
        # A session of its own: Ctrl-C at the terminal is for us, and we stop the child in good order.
        self._process = subprocess.Popen(  # noqa: S603
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if by_pipe else _die_with(os.getpid()),
            **_identity(account),
        )
        self._watcher = _watch_by_pipe(self._process.pid, account) if by_pipe else None

    @property
    def pid(self) -> int:
        return self._process.pid

    def exited(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs. Reaps the child."""
        status = self._process.poll()
        if status is not None:
            self._end_watcher()
        return status

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the child at once and wait for its end."""
        self._process.kill()
        self._process.wait()
        self._end_watcher()

    def _end_watcher(self) -> None:
        # Before the child's number can be given to another process, its watcher must be gone.
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.kill()
            watcher.wait()
            if watcher.stdin is not None:
                watcher.stdin.close()


class _Identity(TypedDict):
    user: int | None
    group: int | None
    extra_groups: list[int] | None
    env: dict[str, str]


def _identity(account: Account | None) -> _Identity:
    """As whom it runs, and with what environment: our settings, the master key among them, are no business of it."""
    if account is None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        return {"user": None, "group": None, "extra_groups": None, "env": env}
    env = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    return {"user": account.uid, "group": account.gid, "extra_groups": [], "env": env}


def _die_with(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def before_exec() -> None:
        # After setuid, which Popen does first and which would clear the signal.
        if prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(126)

    return before_exec


def _watch_by_pipe(pid: int, account: Account | None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", 'read _; kill -INT "$0"', str(pid)],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **_identity(account),
    )
