"""Master keys are given, or made once beside the embedded database; without a usable one nothing starts."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from headrace.settings import Settings
from headrace.vault import master
from headrace.vault.keys import Keyring
from headrace.vault.master import KEY_FILE, KeyProblem, parse

KEY = bytes(range(32))
HEX = KEY.hex()


def settings(secret_key: str | None = None) -> Settings:
    return Settings(secret_key=SecretStr(secret_key) if secret_key is not None else None)


@given(st.binary(min_size=32, max_size=32))
def test_every_usual_spelling_is_the_same_key(secret: bytes) -> None:
    spellings = [
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode(),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode(),
        f"  {secret.hex()}\n",
    ]
    assert {(key.id, key.secret) for text in spellings for key in parse(text, "here")} == {
        (parse(secret.hex(), "here")[0].id, secret)
    }


@pytest.mark.parametrize("text", ["", "short", "z" * 64, base64.b64encode(b"x" * 31).decode(), "!" * 43, f"{HEX},"])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyProblem, match="HEADRACE_SECRET_KEY") as refused:
        master.load(settings(text), None)
    assert "headrace keys generate" in str(refused.value)
    assert not text or text not in str(refused.value)


def test_the_id_of_a_key_does_not_show_it() -> None:
    [key] = parse(HEX, "here")
    assert key.id.bytes not in KEY
    assert HEX not in repr(key)
    assert HEX not in repr(Keyring((key,)))


def test_an_external_database_without_a_key_is_refused_with_what_to_do() -> None:
    with pytest.raises(KeyProblem, match=r"HEADRACE_SECRET_KEY is not set.*headrace keys generate"):
        Keyring.load(settings(), None)


def test_on_the_embedded_database_a_key_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = master.load(settings(), folder)
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert master.load(settings(), folder) == made


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    master.load(settings(), tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(KeyProblem, match="chmod 600"):
        master.load(settings(), tmp_path)


def test_a_broken_key_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / KEY_FILE
    file.write_bytes(b"\xff\xfe nonsense")
    file.chmod(0o600)
    with pytest.raises(KeyProblem, match=KEY_FILE):
        master.load(settings(), tmp_path)


def test_a_key_that_is_set_comes_first_and_the_made_one_still_decrypts(tmp_path: Path) -> None:
    [made] = master.load(settings(), tmp_path)
    keys = master.load(settings(HEX), tmp_path)
    assert [key.secret for key in keys] == [KEY, made.secret]


def test_with_a_key_set_none_is_made(tmp_path: Path) -> None:
    assert [key.secret for key in master.load(settings(HEX), tmp_path)] == [KEY]
    assert list(tmp_path.iterdir()) == []


def test_several_keys_keep_their_order_and_a_doubled_one_counts_once() -> None:
    other = os.urandom(32)
    keys = master.load(settings(f"{other.hex()}, {HEX},{other.hex()}"), None)
    assert [key.secret for key in keys] == [other, KEY]


def test_of_processes_that_make_the_key_at_once_all_use_the_same(
    tmp_path: Path, at_once: Callable[..., list[str]]
) -> None:
    program = """
import sys
from pathlib import Path
from headrace.settings import Settings
from headrace.vault import master

print("ready", flush=True)
sys.stdin.readline()
print(master.load(Settings(secret_key=None), Path(sys.argv[1]))[0].secret.hex())
"""
    assert len(set(at_once(program, str(tmp_path)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
