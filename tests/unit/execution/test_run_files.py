"""Files of runs: there as a whole or not, bounded, under any name that a person can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from devstudio_server.db import Units
from devstudio_server.execution.log_models import FileBlock, RunFile
from devstudio_server.execution.log_rows import worker_of
from devstudio_server.execution.run_file_rows import FileRows
from devstudio_server.execution.run_files import (
    BLOCK_BYTES,
    FileInfo,
    FilesOnDisk,
    RunFileNotFound,
    RunFiles,
    RunFileTooLarge,
)
from devstudio_server.kit.errors import Invalid
from devstudio_server.kit.ids import new_id
from support.databases import Database

TENANT, RUN = new_id(), new_id()


@pytest.fixture(params=["disk", "rows"])
def files(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[RunFiles]:
    """Every test here holds for a disk and for rows."""
    engine = database.engine()
    yield RunFiles(FilesOnDisk(tmp_path / "files") if request.param == "disk" else FileRows(Units(engine)))
    engine.dispose()


def left(files: RunFiles) -> int:
    """Return how many files or rows there are, seen or not."""
    if isinstance(files.medium, FilesOnDisk):
        return len([path for path in files.medium.root.rglob("*") if path.is_file()])
    with cast("FileRows", files.medium)._units.begin(worker_of(TENANT), read_only=True) as session:
        return len(session.scalars(select(RunFile.id)).all()) + len(session.scalars(select(FileBlock.id)).all())


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
def test_any_readable_name_stays_below_its_run(files: RunFiles, name: str) -> None:
    files.save(TENANT, RUN, name, [b"x"], 1)
    assert content(files, name) == b"x"
    assert [found.name for found in files.list(TENANT, RUN)] == [name]
    assert left(files) == 2, "the bytes and the facts"


@pytest.mark.parametrize("name", ["", "a" * 256, "a\0b", "a\nb", "\x1b[31m"])
def test_a_name_that_nobody_can_read_is_refused(files: RunFiles, name: str) -> None:
    with pytest.raises(Invalid):
        files.save(TENANT, RUN, name, [b"x"], 1)


def test_a_file_is_replaced_whole_or_not_at_all(files: RunFiles) -> None:
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
    assert left(files) == 2, "nothing is left behind"


def test_whoever_reads_a_file_on_a_disk_reads_on_while_it_is_replaced(tmp_path: Path) -> None:
    files = RunFiles(FilesOnDisk(tmp_path))
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
