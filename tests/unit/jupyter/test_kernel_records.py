"""Records of kernels: written at once, for the server's eyes, and read by its next life."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from devstudio_server.jupyter.kernel_records import KernelRecord, KernelRecords


def record(kernel_id: str, name: str = "devstudio-python") -> KernelRecord:
    return KernelRecord(kernel_id, name, "somebody", {"cwd": "/x", "env": {}}, {"box": {"container": "c"}, "key": "k"})


def test_what_is_saved_is_read_and_only_the_server_can_read_it(tmp_path: Path) -> None:
    kept, first, second = KernelRecords(tmp_path / "kernels"), record(str(uuid4())), record(str(uuid4()))
    assert list(kept) == []
    for one in (first, second, KernelRecord(**{**vars(first), "name": "renamed"})):
        kept.save(one)
    found = {one.id: one for one in KernelRecords(tmp_path / "kernels")}
    assert found[first.id].name == "renamed"
    assert found[second.id] == second
    assert (tmp_path / "kernels").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "kernels").iterdir()} == {0o600}
    kept.remove(first.id)
    kept.remove(first.id)
    assert [one.id for one in kept] == [second.id]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": 1}', "null"])
def test_a_file_that_is_no_record_is_removed_and_hides_no_other(tmp_path: Path, content: str) -> None:
    kept, whole = KernelRecords(tmp_path), record(str(uuid4()))
    kept.save(whole)
    broken = tmp_path / f"{uuid4()}.json"
    broken.write_text(content)
    assert list(kept) == [whole]
    assert not broken.exists()


def test_an_id_is_never_a_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        KernelRecords(tmp_path).save(record("../../etc/passwd"))
