"""Comma-separated values as RFC 4180 defines them."""

from __future__ import annotations

from rfc4180.errors import CsvError
from rfc4180.reader import parse

__all__ = ["CsvError", "parse"]
