"""lcov of coverage.py and of Node, and what a hostile one can do (nothing)."""

import time

from hypothesis import given
from hypothesis import strategies as st

from devstudio_sandbox.coverage import MAX_COVERAGE_BYTES, MAX_FILES, FileCoverage, parse_lcov

TWO = b"""TN:
SF:/w/src/b.py
DA:1,1
DA:2,0
DA:3,7
LF:3
LH:3
end_of_record
SF:a.js
FN:1,add
FNDA:1,add
BRDA:1,0,0,1
DA:1,1
end_of_record
"""


def test_lines_are_counted_and_sums_of_the_file_are_not_believed() -> None:
    report = parse_lcov(TWO, "/w")
    assert report is not None
    assert report.files == (FileCoverage("a.js", 1, 1), FileCoverage("src/b.py", 2, 3))
    assert (report.lines_covered, report.lines_total, report.percent) == (3, 4, 75.0)


def test_only_files_of_the_project_count() -> None:
    paths = (
        "/etc/passwd",
        "../x.py",
        "a/../../x.py",
        "node_modules/x.js",
        "/wrong/x.py",
        "",
        "x\x1b[31m.py",
        "y" * 401,
    )
    text = "".join(f"SF:{path}\nDA:1,1\nend_of_record\n" for path in paths)
    assert parse_lcov(text.encode(), "/w") is None


def test_what_is_out_of_shape_is_left_out() -> None:
    for text in (
        b"",
        b"\xff\xfe",
        b"SF:a.py\nend_of_record\n",
        b"DA:1,1\nend_of_record\n",
        b"SF:a.py\nDA:1,1\n",
        b"{}",
    ):
        assert parse_lcov(text) is None
    odd = parse_lcov(
        b"SF:a.py\nDA:1,-1\nDA:x\nDA:,\nDA:1,99999999999999999999999\nDA:1,\xc2\xb2\nDA:5,1\nend_of_record"
    )
    assert odd is not None
    assert (odd.lines_covered, odd.lines_total) == (1, 6)


def test_it_is_bounded_in_files_bytes_and_time() -> None:
    assert parse_lcov(b"x" * (MAX_COVERAGE_BYTES + 1)) is None
    many = "".join(f"SF:f{number}.py\nDA:1,1\nend_of_record\n" for number in range(MAX_FILES + 5))
    report = parse_lcov(many.encode())
    assert report is not None
    assert (len(report.files), report.lines_total) == (MAX_FILES, MAX_FILES + 5)
    started = time.process_time()
    parse_lcov(b"SF:a\n" * 1_000_000)
    assert time.process_time() - started < 10


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    report = parse_lcov(data, "/w")
    assert report is None or 0 <= report.lines_covered <= report.lines_total
