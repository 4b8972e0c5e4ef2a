"""Comma-separated values as RFC 4180 defines them."""

from __future__ import annotations

from rfc4180.errors import CsvError
from rfc4180.reader import parse
from rfc4180.table import Table, read_table

__all__ = ["CsvError", "Table", "parse", "read_table"]
