"""Artifacts out of every backend: what matches, whole and bounded, and nothing but regular files."""

from __future__ import annotations

import io
import tarfile
import textwrap

import pytest
from sandbox_kit import python, run

from devstudio_sandbox import ArchiveEntry, ArtifactTooLarge, Sandbox, WorkspaceRejected, pack

MIB = 1024 * 1024


def export(sandbox: Sandbox, *patterns: str, max_bytes: int = 16 * MIB, max_files: int = 1000) -> dict[str, bytes]:
    """Export, and unpack with Python's own tarfile; what is no regular file fails the test."""
    data = b"".join(sandbox.export(patterns, max_bytes=max_bytes, max_files=max_files))
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        for member in tar:
            assert (member.isreg(), member.uid, member.mtime) == (True, 0, 0)
            content = tar.extractfile(member)
            assert content
            found[member.name] = content.read()
    return found


def test_what_matches_comes_out_whole(sandbox: Sandbox) -> None:
    big = bytes(range(256)) * 1000
    files = {"dist/a.whl": big, "dist/deep/b.txt": b"b", "report.xml": b"<x/>", "src/a.py": b"", "empty": b""}
    sandbox.put(pack(ArchiveEntry(name, data) for name, data in files.items()))
    for patterns, names in (
        (("dist/*",), {"dist/a.whl"}),
        (("dist/**",), {"dist/a.whl", "dist/deep/b.txt"}),
        (("**/*.txt", "*.xml"), {"dist/deep/b.txt", "report.xml"}),
        (("**/a.*",), {"dist/a.whl", "src/a.py"}),
        (("**/deep/**/b.txt", "./empty"), {"dist/deep/b.txt", "empty"}),
        (("[re]*",), {"report.xml", "empty"}),
        (("dist", "nothing/*"), set()),
        ((), set()),
        (("**",), set(files)),
    ):
        assert export(sandbox, *patterns) == {name: files[name] for name in names}, patterns


def test_the_execute_bit_is_kept(sandbox: Sandbox) -> None:
    sandbox.put(pack([ArchiveEntry("run.sh", b"x", 0o755), ArchiveEntry("plain", b"y")]))
    data = b"".join(sandbox.export(["*"], max_bytes=100, max_files=2))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {item.name: item.mode for item in tar} == {"run.sh": 0o755, "plain": 0o644}


def test_links_pipes_and_sockets_stay_inside(sandbox: Sandbox) -> None:
    script = """
    import os, socket
    os.mkdir("d")
    os.symlink("/etc/passwd", "d/link"); os.symlink("/etc", "d/folder"); os.symlink("..", "d/up"); os.mkfifo("d/pipe")
    socket.socket(socket.AF_UNIX).bind("d/socket")
    open("d/real", "w").write("real"); os.link("d/real", "d/hard")
    """
    assert python(sandbox, textwrap.dedent(script))[0].exit_code == 0
    expected = {"d/real": b"real", "d/hard": b"real"}
    assert export(sandbox, "**") == expected
    assert export(sandbox, "d/folder/*", "d/up/d/*") == {}
    assert run(sandbox, "true")[0].exit_code == 0


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../*", "a/../../*", "", "/", "a\0b"])
def test_a_pattern_does_not_lead_out(sandbox: Sandbox, pattern: str) -> None:
    with pytest.raises(WorkspaceRejected):
        export(sandbox, pattern)
    assert run(sandbox, "true")[0].exit_code == 0


def test_it_is_bounded_in_bytes_and_files(sandbox: Sandbox) -> None:
    sandbox.put(pack(ArchiveEntry(f"f{number}", b"12345") for number in range(10)))
    assert len(export(sandbox, "*", max_bytes=50, max_files=10)) == 10
    for bounds in ({"max_bytes": 49}, {"max_files": 9}, {"max_bytes": 0, "max_files": 0}):
        pieces = sandbox.export(["*"], **{"max_bytes": 50, "max_files": 10, **bounds})
        with pytest.raises(ArtifactTooLarge):
            next(pieces)  # before the first byte
    # a file that has no blocks but claims to be huge
    run(sandbox, "truncate", "-s", "400M", "sparse")
    with pytest.raises(ArtifactTooLarge, match="16777216 bytes"):
        export(sandbox, "sparse")
    assert export(sandbox, "f1") == {"f1": b"12345"}


def test_names_that_are_no_text_survive(sandbox: Sandbox) -> None:
    names = [b"new\nline", b"\xff\xfe", b"\xc3\xa4", b" ", b"-rf", b"x" * 255, b"tab\t\x1b[31m", b"quote'\"\\"]
    script = f"import os\nfor name in {names!r}:\n  open(name, 'wb').write(name)"
    assert python(sandbox, script)[0].exit_code == 0
    found = {name.encode("utf-8", "surrogateescape"): data for name, data in export(sandbox, "*").items()}
    assert found == {name: name for name in names}


def test_what_is_nested_too_deep_is_refused(sandbox: Sandbox) -> None:
    script = """
    import os
    for depth in range(1500):
        os.mkdir("d"); os.chdir("d")
        if depth == 50:
            open("found", "w").write("here")
    """
    assert python(sandbox, textwrap.dedent(script))[0].exit_code == 0
    with pytest.raises(WorkspaceRejected, match="deep"):
        export(sandbox, "**/found")
    assert list(export(sandbox, "/".join(["d"] * 51) + "/*").values()) == [b"here"]
    assert export(sandbox, "*/*/found") == {}


def test_100_000_files_are_counted_and_few_of_them_found(sandbox: Sandbox) -> None:
    script = """
    import os
    for folder in range(100):
        os.mkdir(str(folder))
        for number in range(998):
            os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY))
    """
    assert python(sandbox, textwrap.dedent(script))[0].exit_code == 0
    with pytest.raises(ArtifactTooLarge, match="1000 files"):
        export(sandbox, "**")
    assert len(export(sandbox, "**/997")) == 100
    assert set(export(sandbox, "7/99?")) == {f"7/99{digit}" for digit in range(8)}


def test_a_reader_that_goes_away_leaves_the_conversation_whole(sandbox: Sandbox) -> None:
    sandbox.put(pack(ArchiveEntry(f"f{number}", bytes(200_000)) for number in range(20)))
    pieces = sandbox.export(["*"], max_bytes=16 * MIB, max_files=100)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert sandbox.get("f1", 200_000) == bytes(200_000)
    assert len(export(sandbox, "*")) == 20
