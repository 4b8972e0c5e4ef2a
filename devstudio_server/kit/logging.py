"""Structured logs: one JSON object a line, through structlog over the standard library."""

from __future__ import annotations

import logging
from typing import Any

import structlog

_SECRET_KEYS = frozenset({"authorization", "cookie", "token", "api_key", "password", "secret", "set_cookie"})


def _mask_secrets(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace the value of any key that names a secret."""
    for key in event:
        if key.lower().replace("-", "_") in _SECRET_KEYS:
            event[key] = "***"
    return event


def configure_logging(level: int = logging.INFO) -> None:
    """Send structlog's events as JSON lines to the ``devstudio`` logger; safe to call again."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logger = logging.getLogger("devstudio")
    logger.setLevel(level)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one part: ``devstudio.<name>``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"devstudio.{name}")
    return logger
