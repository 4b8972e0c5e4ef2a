"""The table of codes in the documentation is the one in code."""

from __future__ import annotations

import re
from pathlib import Path

from devstudio_server.specs.lint_rules import CODES

PAGE = Path(__file__).parents[3] / "docs/planning.md"


def test_the_table_of_codes_is_that_of_the_lint() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning|info) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [(code, severity) for code, severity, _what in rows] == [
        (code, rule.severity) for code, rule in CODES.items()
    ]
    assert all(what.endswith(".") for _code, _severity, what in rows)
