"""Run this example against a server; `--help` lists the options."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))  # what the examples share is main_job.py, beside their folders

from main_job import main  # noqa: E402 - needs the path above

if __name__ == "__main__":
    raise SystemExit(main(FOLDER))
