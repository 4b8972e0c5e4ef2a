"""Files of runs: there as a whole or not, bounded, under any name that a person can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from devstudio_server.execution.run_files import (
    BLOCK_BYTES,
    FileInfo,
    FilesOnDisk,
    RunFileNotFound,
    RunFiles,
    RunFileTooLarge,
)
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import Invalid
from devstudio_server.kit.ids import new_id

TENANT, RUN = new_id(), new_id()


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    return RunFiles(FilesOnDisk(tmp_path))


def content(files: RunFiles, name: str) -> bytes:
    return b"".join(files.open(TENANT, RUN, name))


def test_a_file_is_kept_with_its_facts(files: RunFiles) -> None:
    data = os.urandom(3 * BLOCK_BYTES + 17)
    chunks = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    info = files.save(TENANT, RUN, "dist/app.tar", chunks, len(data))
    assert info == FileInfo("dist/app.tar", len(data), sha256(data).hexdigest(), "application/x-tar")
    assert content(files, "dist/app.tar") == data
    assert max(map(len, files.open(TENANT, RUN, "dist/app.tar"))) == BLOCK_BYTES
    assert (files.find(TENANT, RUN, "dist/app.tar"), files.find(TENANT, RUN, "app.tar")) == (info, None)
    files.save(TENANT, RUN, "a", [], 0)
    assert [found.name for found in files.list(TENANT, RUN)] == ["a", "dist/app.tar"]
    assert content(files, "a") == b""


@pytest.mark.parametrize("name", ["../../etc/passwd", "/", "..", "é😀", "a" * 255, ".json", "x.json", "CON"])
def test_any_readable_name_stays_below_its_run(files: RunFiles, tmp_path: Path, name: str) -> None:
    files.save(TENANT, RUN, name, [b"x"], 1)
    assert content(files, name) == b"x"
    assert [found.name for found in files.list(TENANT, RUN)] == [name]
    assert len(list(tmp_path.rglob("*"))) == 4  # two folders, the bytes and the facts


@pytest.mark.parametrize("name", ["", "a" * 256, "a\0b", "a\nb", "\x1b[31m"])
def test_a_name_that_nobody_can_read_is_refused(files: RunFiles, name: str) -> None:
    with pytest.raises(Invalid):
        files.save(TENANT, RUN, name, [b"x"], 1)


def test_a_file_is_replaced_whole_or_not_at_all(files: RunFiles, tmp_path: Path) -> None:
    files.save(TENANT, RUN, "x", [b"old"], 10)

    def broken() -> Iterator[bytes]:
        yield b"n" * BLOCK_BYTES
        assert content(files, "x") == b"old", "while the new one is written"
        raise KeyError

    with pytest.raises(KeyError):
        files.save(TENANT, RUN, "x", broken(), 10**9)
    with pytest.raises(RunFileTooLarge):
        files.save(TENANT, RUN, "x", [b"12345678901"], 10)
    with pytest.raises(RunFileTooLarge):
        files.save(TENANT, RUN, "y", [b"1"] * 11, 10)
    assert content(files, "x") == b"old"
    assert files.list(TENANT, RUN) == [files.find(TENANT, RUN, "x")]
    files.save(TENANT, RUN, "x", [b"new"], 10)
    assert content(files, "x") == b"new"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2, "nothing is left behind"


def test_whoever_reads_a_file_reads_on_while_it_is_replaced(files: RunFiles) -> None:
    files.save(TENANT, RUN, "x", [b"o" * 2 * BLOCK_BYTES], 10**9)
    reading = files.open(TENANT, RUN, "x")
    first = next(reading)
    files.save(TENANT, RUN, "x", [b"new"], 10)
    assert first + b"".join(reading) == b"o" * 2 * BLOCK_BYTES


def test_what_is_missing_is_said_at_once(files: RunFiles) -> None:
    with pytest.raises(RunFileNotFound):
        files.open(TENANT, RUN, "x")
    files.save(TENANT, RUN, "x", [b"x"], 1)
    for tenant, run in ((new_id(), RUN), (TENANT, new_id())):
        with pytest.raises(RunFileNotFound):
            files.open(tenant, run, "x")
        assert files.list(tenant, run) == []


def test_old_runs_lose_their_files(files: RunFiles, tmp_path: Path) -> None:
    runs = sorted(new_id() for _ in range(2))
    for run in runs:
        files.save(TENANT, run, "x", [b"x"], 1)
    long_ago = (now() - timedelta(days=40)).timestamp()
    os.utime(tmp_path / str(TENANT) / str(runs[0]), (long_ago, long_ago))
    assert files.medium.old(TENANT, now() - timedelta(days=30), 10) == runs[:1]
    assert files.medium.old(TENANT, None, 1) == runs[:1]
    files.remove(TENANT, runs[0])
    files.remove(TENANT, new_id())
    assert (files.list(TENANT, runs[0]), files.medium.old(TENANT, None, 9)) == ([], runs[1:])
