"""Where master keys come from: `HEADRACE_SECRET_KEY`, or a file in the data folder beside the embedded database.

A master key wraps the organisations' data keys and nothing else of theirs. It never reaches the database.
"""

import base64
import binascii
import contextlib
import os
import secrets
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.vault.sealing import KEY_BYTES, Key

KEY_FILE = "secret.key"


class KeyProblem(HeadraceError):
    """The server cannot start with the keys that it has. The message says what to do, and holds no key."""


def load(settings: Settings, data_dir: Path | None) -> tuple[Key, ...]:
    """The master keys, the one that encrypts first.

    `data_dir` is the folder of the embedded database, or None on an external one. On the embedded one a key is made at
    first start, readable by the owner alone, when the settings give none; once made it stays able to decrypt, also
    after a key was set. On an external database the key must be given: made by one process, it would be unknown to
    the others, and lost with this machine.
    """
    keys = parse(settings.secret_key.get_secret_value(), "HEADRACE_SECRET_KEY") if settings.secret_key else ()
    file = data_dir / KEY_FILE if data_dir is not None else None
    if file is not None and (file.exists() or not keys):
        keys = (*keys, *parse(_read_or_make(file), str(file)))
    if not keys:
        raise KeyProblem(
            "HEADRACE_SECRET_KEY is not set. With HEADRACE_DATABASE_URL every process needs the same master key, "
            "which encrypts the credentials in the database. Make one with `headrace keys generate`, keep it safe "
            "apart from the database, and set it for each process."
        )
    return tuple({key.id: key for key in keys}.values())


def parse(text: str, source: str) -> tuple[Key, ...]:
    """The keys of a comma-separated list, each 32 bytes in base64 (either alphabet) or hex. `source` is named in the
    KeyProblem when one is not."""
    return tuple(_key(part.strip(), f"Key {position} of {source}") for position, part in enumerate(text.split(","), 1))


def _key(text: str, name: str) -> Key:
    secret = b""
    with contextlib.suppress(ValueError, binascii.Error):
        if len(text) == 2 * KEY_BYTES:
            secret = bytes.fromhex(text)
        else:
            unpadded = text.translate(str.maketrans("-_", "+/")).rstrip("=")
            secret = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    if len(secret) != KEY_BYTES:
        raise KeyProblem(
            f"{name} is not 32 bytes in base64 or hex. "
            "Make one with `headrace keys generate`; several are separated by commas, the one that encrypts first."
        )
    # The id follows from the key, so that no process has to be told which key is which; 128 bits of a hash say nothing
    # of a random key.
    return Key(UUID(bytes=sha256(b"headrace master key id\0" + secret).digest()[:16]), secret)


def _read_or_make(file: Path) -> str:
    """The file's content. It is written apart and linked into place: it is there whole or not at all, and the first of
    two processes wins."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink()
        _sync_folder(file.parent)
    if file.stat().st_mode & 0o077:
        raise KeyProblem(f"{file} is open to others. Close it with `chmod 600 {file}` and think of the key as known.")
    return file.read_text("ascii", errors="replace")


def _sync_folder(folder: Path) -> None:
    """Make the new name durable: a key that a power cut takes back would leave what it encrypted closed for ever."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
