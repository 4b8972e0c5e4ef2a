"""``python -m devstudio_evidence verify FILE --key KEYS``: verify a bundle with nothing but Python."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from devstudio_evidence import bundle, keys
from devstudio_evidence.keys import Keys, KeysInvalid
from devstudio_evidence.report import Finding, Report
from devstudio_evidence.verify import verify

HOLDS, WRONG, USAGE, UNPINNED = 0, 1, 2, 3
_CODES = "Ends with 0 when all of it holds, 1 when something is wrong, 2 for a wrong call, 3 when no key was given."


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; give the exit code."""
    parser = argparse.ArgumentParser(prog="devstudio_evidence", description="Verifies bundles of RENUM DevStudio.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="verify a bundle", description="Verify a bundle.", epilog=_CODES)
    command.add_argument("file", type=Path, help="the bundle")
    command.add_argument(
        "--key",
        type=Path,
        action="append",
        default=[],
        help="file with the public keys that you trust, from `devstudio keys export` or GET signing-keys",
    )
    command.add_argument("--any-key", action="store_true", help="end with 0 although no key was given")
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    chosen = parser.parse_args(arguments)
    return run(chosen.file, chosen.key, any_key=chosen.any_key, as_json=chosen.json)


def run(file: Path, key_files: Sequence[Path], *, any_key: bool = False, as_json: bool = False) -> int:
    """Verify a file and print the report; give the exit code."""
    try:
        trusted = _trusted(key_files)
        with file.open("rb") as opened:
            data = opened.read(bundle.LIMIT + 1)
    except OSError as error:
        return _usage(f"{error.filename or file}: {error.strerror}")
    except (KeysInvalid, UnicodeDecodeError) as error:
        return _usage(f"The keys cannot be read: {error}.")
    report = verify(data, trusted)
    lines = [json.dumps(report.to_json(), indent=2)] if as_json else _told(file, report)
    sys.stdout.write("\n".join(_printable(line) for line in lines) + "\n")
    if not report.holds:
        return WRONG
    return HOLDS if report.pinned or any_key else UNPINNED


def _trusted(key_files: Sequence[Path]) -> Keys | None:
    if not key_files:
        return None
    found = Keys()
    for file in key_files:
        found = found.joined(keys.read(file.read_text(encoding="utf-8")))
    return found


def _told(file: Path, report: Report) -> list[str]:
    lines = [f"{file.name}: {'holds' if report.holds else 'DOES NOT HOLD'}"]
    lines += [f"  WRONG  {_place(each)}{each.said}" for each in report.problems]
    lines += [f"  note   {_place(each)}{each.said}" for each in report.notes]
    lines += [_task(task) for task in report.tasks]
    if report.checked:
        lines.append("  checked: " + ", ".join(f"{count} {what}" for what, count in sorted(report.checked.items())))
    if report.subject:
        about = report.subject["task_id"] or report.subject["session_id"]
        lines.append(f"  about the {report.subject['subject']} {about}, exported {report.subject['issued_at']}")
    if report.key_id:
        lines.append(f"  signed by the key {report.key_id}, SHA-256 {report.fingerprint}")
    if not report.pinned:
        lines += [
            "  NO KEY WAS GIVEN: this shows only that the bundle agrees with itself, which anyone can bring about.",
            "  Compare the fingerprint above with the server's, or give its keys with --key.",
        ]
    return lines


def _task(task: dict[str, object]) -> str:
    said = f"  task {task['key']} {task['title']}: {task['status']}; proven: {_keys(task['proven'])}"
    return f"{said}; not proven: {_keys(task['open'])}" if task["open"] else said


def _keys(value: object) -> str:
    return ", ".join(str(key) for key in value) if isinstance(value, list) and value else "none"


def _place(finding: Finding) -> str:
    return f"{finding.member}: " if finding.member else ""


def _printable(line: str) -> str:
    """Show no control character: what a bundle says of itself may want to move a terminal's cursor."""
    shown = "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in line)
    return shown.encode(sys.stdout.encoding or "ascii", "backslashreplace").decode(sys.stdout.encoding or "ascii")


def _usage(message: str) -> int:
    sys.stderr.write(_printable(message) + "\n")
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
