"""The log: one line an event, and never a secret."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from headrace import log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)


def test_an_event_is_one_json_object_a_line(lines: io.StringIO) -> None:
    log.configure("json", "info", lines)
    structlog.get_logger().warning("request_failed", sync_id="s", status=503, reason="line\nbreak")
    logging.getLogger("some.library").warning("it said %s", "this")
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert first["event"] == "request_failed"
    assert (first["level"], first["status"], first["reason"]) == ("warning", 503, "line\nbreak")
    assert first["at"].endswith("Z")
    assert second["event"] == "it said this"


@pytest.mark.parametrize(
    "name", ["api_token", "client_secret", "password", "Authorization", "private_key", "dsn", "key"]
)
def test_a_field_that_is_named_as_a_secret_is_masked(lines: io.StringIO, name: str) -> None:
    log.configure("json", "info", lines)
    structlog.get_logger().info("imported", **{name: "sk_live_1", "num_tokens": 3})
    assert "sk_live_1" not in lines.getvalue()
    assert json.loads(lines.getvalue())["num_tokens"] == 3


def test_what_is_below_the_level_is_left_out(lines: io.StringIO) -> None:
    log.configure("json", "warning", lines)
    structlog.get_logger().info("quiet")
    logging.getLogger("uvicorn.error").info("quiet too")
    assert lines.getvalue() == ""


def test_the_pools_tries_to_restore_their_connections_are_not_told_one_by_one(lines: io.StringIO) -> None:
    log.configure("json", "info", lines)
    logging.getLogger("asyncpg.pool").warning("Failed to restore the pool connection floor; retrying", exc_info=True)
    assert lines.getvalue() == ""


def test_text_is_for_people(lines: io.StringIO) -> None:
    log.configure("text", "info", lines)
    structlog.get_logger().info("serving", url="http://127.0.0.1:1")
    assert "serving" in lines.getvalue()
    assert "http://127.0.0.1:1" in lines.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_shows_no_local_variables(lines: io.StringIO, form: Literal["json", "text"]) -> None:
    log.configure(form, "info", lines)
    key = "sk_live_local"
    try:
        raise ValueError(f"{len(key)} characters")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=True)
    assert "13 characters" in lines.getvalue()
    assert "sk_live_local" not in lines.getvalue().replace('key = "sk_live_local"', "")
