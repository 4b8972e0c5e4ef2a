"""Logs: one JSON object a line, no secrets under a key that names one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from devstudio_server.kit.logging import configure_logging, get_logger


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def lines() -> Iterator[list[str]]:
    logger = logging.getLogger("devstudio")
    before = (logger.level, list(logger.handlers), logger.propagate)
    handler = Lines()
    logger.addHandler(handler)
    configure_logging()
    configure_logging()
    yield handler.lines
    structlog.reset_defaults()
    logger.setLevel(before[0])
    logger.handlers, logger.propagate = before[1], before[2]


def test_a_line_is_json_with_level_time_and_masked_secrets(lines: list[str]) -> None:
    get_logger("test").warning("thing_happened", path="a\nb", Authorization="token x", api_key="k", count=3)
    (line,) = lines
    assert "\n" not in line
    event = json.loads(line)
    assert (event["event"], event["level"], event["path"], event["count"]) == ("thing_happened", "warning", "a\nb", 3)
    assert (event["Authorization"], event["api_key"]) == ("***", "***")
    assert event["timestamp"].endswith("Z")


def test_an_exception_is_in_its_line(lines: list[str]) -> None:
    get_logger("test").error("failed", exc_info=KeyError("gone"))
    assert "KeyError: 'gone'" in json.loads(lines[0])["exception"]


def test_debug_is_left_out_by_default(lines: list[str]) -> None:
    get_logger("test").debug("detail")
    assert lines == []
