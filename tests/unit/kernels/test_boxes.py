"""The folder of a kernel's container."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from devstudio_kernels.boxes import Box, close_folder


def test_a_folder_is_open_to_its_kernel_while_it_is_taken_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    os.chown(run, 4242, 4242)
    box, seen = Box("", str(tmp_path), 4242, "key"), list[tuple[int, int]]()

    def look(owner: int, mode: int) -> None:
        seen.append((owner, stat.S_IMODE(mode)))

    chown, chmod = os.chown, Path.chmod

    def chown_and_look(path: Path, uid: int, gid: int) -> None:
        chown(path, uid, gid)
        look(run.stat().st_uid, run.stat().st_mode)

    def chmod_and_look(path: Path, mode: int) -> None:
        chmod(path, mode)
        look(run.stat().st_uid, run.stat().st_mode)

    monkeypatch.setattr(os, "chown", chown_and_look)
    monkeypatch.setattr(Path, "chmod", chmod_and_look)
    close_folder(box)
    assert seen[-1] == (os.geteuid(), 0o711)
    assert all(owner == box.uid or mode & 0o001 for owner, mode in seen), seen
