"""Structured logs: one JSON object a line, through structlog over the standard library.

Nothing personal and no secret gets into them: our own events are masked value by value, and every record of any other
library in this process, with its exception, is masked as text.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any

import structlog

from devstudio_server.kit.masking import mask, mask_text

MAX_TEXT = 20_000
"""Longest text of another library that is logged, in characters; the rest is cut."""

_OURS = "devstudio"
_LOG_PATTERNS = (
    (re.compile(r"(?<=[?&;])([\w.\[\]%~-]++)=[^&;\s\"'<>]*+"), r"\1=***"),
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-xsrftoken)(['\"]?\s*+[:=]\s*+['\"]?)[^\r\n'\"]++"
        ),
        r"\1\2***",
    ),
    (
        re.compile(
            r"(?i)\b(\w{0,40}(?:password|passwd|senha|secret|api_?key|token)\w{0,40})(['\"]?\s*+[=:]\s*+['\"]?)"
            r"[^\s'\",;&)}\]]++"
        ),
        r"\1\2***",
    ),
)
# Jupyter prints the token that it made up for the one user, once, because nobody else knows it; never a configured one.
_WELCOME = ("serverapp.py", "start_app")


def mask_log_text(text: str) -> str:
    """Return ``text`` with personal data, secrets, the values of queries and of credentials' headers masked."""
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + f"… ({len(text) - MAX_TEXT} more characters)"
    for pattern, replacement in _LOG_PATTERNS:
        text = pattern.sub(replacement, text)
    return mask_text(text)


def _mask_event(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Mask every value of an event; an exception's text as that of another library."""
    exception = event.pop("exception", None)
    masked: structlog.typing.EventDict = mask(event)
    if exception is not None:
        masked["exception"] = mask_log_text(str(exception))
    return masked


def _masked_repr(value: object) -> str:
    return mask_text(repr(value))


class _MaskedRecord(logging.LogRecord):
    """A record of any library, masked when it is made: whatever handler writes it later has nothing else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.name.partition(".")[0] == _OURS or (self.filename, self.funcName) == _WELCOME:
            return
        try:
            self.msg = mask_log_text(self.getMessage())
            self.args = ()
        except Exception:  # noqa: BLE001 - a broken format string of a library; logging says so in its own way
            return
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = mask_log_text("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"))


def configure_logging(level: int = logging.INFO) -> None:
    """Send structlog's events as JSON lines to the ``devstudio`` logger, and mask all others; safe to call again."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_event,
            structlog.processors.JSONRenderer(default=_masked_repr),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.setLogRecordFactory(_MaskedRecord)
    logger = logging.getLogger(_OURS)
    logger.setLevel(level)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


def log_line(name: str, event: str, fields: dict[str, Any]) -> None:
    """Write an event at level info whose ``fields`` are JSON of ours, such as ids and numbers, and need no masking.

    For what is written with each request: it costs its JSON and the writing, and no look at the stack.
    """
    logger = logging.getLogger(f"{_OURS}.{name}")
    if not logger.isEnabledFor(logging.INFO):
        return
    timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    text = json.dumps(fields | {"event": event, "level": "info", "timestamp": timestamp})
    logger.handle(logging.LogRecord(logger.name, logging.INFO, __file__, 0, text, None, None))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one part: ``devstudio.<name>``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"{_OURS}.{name}")
    return logger
