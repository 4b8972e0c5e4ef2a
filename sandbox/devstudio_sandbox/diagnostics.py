"""Which places of a project a tool's output blames: compilers, type checkers, linters, and Python itself.

Only the forms that name a file and a line are read. The text is not ours: patterns are linear, and the number and the
length of what is found are bounded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from devstudio_sandbox.junit import is_of_project, relative

MAX_FOUND = 100
MAX_MESSAGE_CHARS = 500
MAX_LINE_CHARS = 4000
_FILE = r"[\w.@+/\\-]{1,400}"
GNU = re.compile(
    rf"^({_FILE}):(\d{{1,8}})(?::\d{{1,8}})?:?\s+(?:fatal\s+)?(?:error|Error|ERROR)\b[^:]{{0,60}}:?\s*(.*)$"
)
"""``src/a.c:3:5: error: …``: gcc, clang, Go's vet, mypy, eslint's unix format; also ``a.ts:3:5 - error TS1: …``."""
GNU_DASH = re.compile(rf"^({_FILE}):(\d{{1,8}}):\d{{1,8}} - error (.*)$")
TSC = re.compile(rf"^({_FILE})\((\d{{1,8}}),\d{{1,8}}\): error (.*)$")
MAKE = re.compile(rf"^({_FILE}):(\d{{1,8}}): (\*\*\* .*)$")
PYTHON = re.compile(r'^\s*File "([^"\n]{1,400})", line (\d{1,8})')
RUST = re.compile(rf"^\s*--> ({_FILE}):(\d{{1,8}}):\d{{1,8}}$")
NODE = re.compile(rf"^(?:file://)?({_FILE}):(\d{{1,8}})$")
ERROR_LINE = re.compile(r"^(?:Sorry: )?(\w{0,60}(?:Error|Exception)\b.*)$")
COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")


@dataclass(frozen=True)
class Diagnostic:
    """One place that the output blames."""

    file: str
    """Relative to the workspace."""
    line: int
    message: str


def find_diagnostics(output: str, workspace: str = "") -> list[Diagnostic]:
    """Return the places in the project that ``output`` blames, in its order, each once, at most `MAX_FOUND`."""
    found: dict[tuple[str, int], Diagnostic] = {}
    for diagnostic in _read(output):
        file = relative(diagnostic.file, workspace).removeprefix("./")
        outside = (
            file.startswith("/") or ".." in file.split("/") or not (is_of_project(file) or file.endswith("Makefile"))
        )
        if not outside:
            found.setdefault((file, diagnostic.line), Diagnostic(file, diagnostic.line, diagnostic.message))
        if len(found) == MAX_FOUND:
            break
    return list(found.values())


def _read(output: str) -> Iterator[Diagnostic]:
    """Read line by line. Python, Rust and Node say in another line what is wrong: after the place, or before it."""
    waiting: Diagnostic | None = None
    said = ""
    for raw in output.splitlines():
        line = COLOUR.sub("", raw[:MAX_LINE_CHARS]).rstrip()
        at_once = next((match for form in (GNU_DASH, TSC, GNU, MAKE) if (match := form.match(line))), None)
        if at_once is not None:
            yield _diagnostic(at_once[1], at_once[2], at_once[3])
        elif match := RUST.match(line):
            yield _diagnostic(match[1], match[2], said)
        elif match := PYTHON.match(line) or NODE.match(line):
            waiting = _diagnostic(match[1], match[2], "")
        elif waiting is not None and (match := ERROR_LINE.match(line)):
            yield _diagnostic(waiting.file, str(waiting.line), match[1])
            waiting = None
        if line.startswith("error"):
            said = line


def _diagnostic(file: str, line: str, message: str) -> Diagnostic:
    return Diagnostic(file, int(line), message.strip()[:MAX_MESSAGE_CHARS])
