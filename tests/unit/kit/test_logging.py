"""Logs: one JSON object a line, no secrets under a key that names one."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator

import pytest
import structlog

from devstudio_server.kit.logging import MAX_TEXT, configure_logging, get_logger, log_line


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
    logging.setLogRecordFactory(logging.LogRecord)
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


def test_personal_data_is_masked_in_every_value_and_exception(lines: list[str]) -> None:
    error = ValueError("ana@example.org sent 123.456.789-09 with password=hunter22")
    get_logger("test").error("failed", exc_info=error, who="ana@example.org", nested={"cpf": "123.456.789-09"})
    assert not [word for word in ("ana@example", "123.456", "hunter22") if word in lines[0]]
    event = json.loads(lines[0])
    assert event["who"] == "<e-mail>"
    assert "ValueError: <e-mail> sent <CPF>" in event["exception"]


def test_a_line_of_our_own_figures_is_json_with_level_and_time(lines: list[str]) -> None:
    log_line("test", "request", {"route": "/api/v1/{id}", "status": 200})
    event = json.loads(lines[0])
    assert (event["event"], event["level"], event["route"]) == ("request", "info", "/api/v1/{id}")
    assert event["timestamp"].endswith("Z")
    logging.getLogger("devstudio").setLevel(logging.ERROR)
    log_line("test", "request", {})
    assert len(lines) == 1


def formatted(lines: list[str], write: Callable[[logging.Logger], None]) -> str:
    """Return what another library's logger writes while ours is configured."""
    del lines
    stream = io.StringIO()
    logger = logging.getLogger("some.library")
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        write(logger)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    return stream.getvalue()


@pytest.mark.parametrize(
    ("message", "argument", "masked"),
    [
        ("GET %s", "/x?token=abc&limit=5", "GET /x?token=***&limit=***"),
        ("headers %s", {"Authorization": "Bearer abc", "Accept": "*"}, "'Accept': '*'"),
        ("Cookie: %s", "a=b; c=d", "Cookie: ***"),
        ("password = %s", "hunter22", "password = ***"),
        ("%s", "ana@example.org", "<e-mail>"),
    ],
)
def test_lines_of_other_libraries_are_masked(lines: list[str], message: str, argument: object, masked: str) -> None:
    text = formatted(lines, lambda logger: logger.warning(message, argument))
    assert masked in text
    assert not [word for word in ("abc", "a=b", "c=d", "hunter22", "ana@") if word in text]


def test_tracebacks_of_other_libraries_are_masked(lines: list[str]) -> None:
    error = OSError("cannot reach https://ana:geheim99@host/x?api_key=k1")
    text = formatted(lines, lambda logger: logger.error("failed", exc_info=error))
    assert "OSError: cannot reach https://***@host/x?api_key=***" in text


def test_a_line_without_end_is_cut_and_costs_no_time(lines: list[str]) -> None:
    started = time.perf_counter()
    for endless in ("a" * 300_000, "eyJ-" * 50_000, "a@" * 100_000, "1.1" * 100_000, "token" * 60_000, "?&" * 100_000):
        text = formatted(lines, lambda logger, endless=endless: logger.warning("%s", endless))
        assert len(text) < MAX_TEXT + 100
    assert time.perf_counter() - started < 5


def test_a_line_that_cannot_be_formatted_stops_nothing(lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert formatted(lines, lambda logger: logger.warning("%d", "x")) == ""
    assert "not all arguments" in (said := capsys.readouterr().err) or "format" in said
