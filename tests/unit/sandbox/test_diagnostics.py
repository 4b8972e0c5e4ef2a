"""Places that tools blame, each in the words of the tool."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstudio_sandbox.diagnostics import MAX_FOUND, Diagnostic, find_diagnostics


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("src/a.c:3:5: error: expected ';'", ("src/a.c", 3, "expected ';'")),
        ("/w/src/a.c:3:5: fatal error: x.h: No such file", ("src/a.c", 3, "x.h: No such file")),
        ("\x1b[1msrc/a.c:3:5: \x1b[31merror: \x1b[0mno", ("src/a.c", 3, "no")),
        ("src/a.ts(3,5): error TS2322: Type 'x'", ("src/a.ts", 3, "TS2322: Type 'x'")),
        ("src/a.ts:3:5 - error TS2322: Type 'x'", ("src/a.ts", 3, "TS2322: Type 'x'")),
        ("./pkg/x.py:7: error: Name 'y' is not defined", ("pkg/x.py", 7, "Name 'y' is not defined")),
        (
            "error[E0425]: cannot find value\n --> src/main.rs:3:5",
            ("src/main.rs", 3, "error[E0425]: cannot find value"),
        ),
        ("Makefile:3: *** missing separator.  Stop.", ("Makefile", 3, "*** missing separator.  Stop.")),
        (
            "*** Error compiling './x.py'...\n  File \"./x.py\", line 1\n    def f(:\n          ^\nSyntaxError: bad",
            ("x.py", 1, "SyntaxError: bad"),
        ),
        (
            'Traceback:\n  File "/w/a.py", line 5, in <module>\n    b()\n  File "/w/b.py", line 9, in b\nKeyError: 1',
            ("b.py", 9, "KeyError: 1"),
        ),
        (
            "/w/x.js:2\nfoo(\n\n\nSyntaxError: Unexpected end of input",
            ("x.js", 2, "SyntaxError: Unexpected end of input"),
        ),
        ("file:///w/x.mjs:2\nthrow\n\nError: no", ("x.mjs", 2, "Error: no")),
    ],
)
def test_each_tool_in_its_own_words(output: str, found: tuple[str, int, str]) -> None:
    assert find_diagnostics(output, "/w") == [Diagnostic(*found)]


@pytest.mark.parametrize(
    "output",
    [
        "",
        "error: something",
        "12:30:01 error: no file",
        "/usr/include/x.h:3:1: error: not ours",
        "../x.c:3:1: error: not ours",
        "node_modules/x/i.js:3:1: error: not ours",
        "src/a.c:3:5: warning: only that",
        "see http://host.example:80",
        'File "<string>", line 1\nSyntaxError: x',
    ],
)
def test_what_is_no_place_of_the_project(output: str) -> None:
    assert find_diagnostics(output, "/w") == []


def test_each_place_is_told_once_and_not_without_end() -> None:
    assert len(find_diagnostics("a.c:1:1: error: x\n" * 5)) == 1
    assert len(find_diagnostics("".join(f"a.c:{n}:1: error: x\n" for n in range(1, 1000)))) == MAX_FOUND


@pytest.mark.parametrize(
    "piece", ["a/" * 3000 + "\n", "x" * 400 + ":1:\n", " " * 4000 + "\n", "Error" * 800 + "\n", "\x1b[1;" * 900 + "\n"]
)
def test_it_takes_linear_time(piece: str) -> None:
    started = time.process_time()
    find_diagnostics((piece * (300_000 // len(piece) + 1))[:300_000])
    assert time.process_time() - started < 5


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    for place in find_diagnostics(text, "/w"):
        assert not place.file.startswith("/")
