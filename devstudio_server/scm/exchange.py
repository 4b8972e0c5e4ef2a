"""Lets two files change their names at once, where the system can: `renameat2` of Linux."""

from __future__ import annotations

import ctypes
import os

_EXCHANGE = 2
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def exchange(folder: int, one: str, other: str) -> bool:
    """Let two files in the open ``folder`` change their names; False where that cannot be done, or one is gone."""
    if _renameat2 is None:
        return False
    failed: int = _renameat2(folder, os.fsencode(one), folder, os.fsencode(other), _EXCHANGE)
    return failed == 0
