"""Contents of two tenants through one manager, on real folders."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tornado.web import HTTPError

from devstudio_server.db import Actor, acting, set_current_actor
from devstudio_server.jupyter.contents_manager import TenantContentsManager
from devstudio_server.jupyter.tenancy import LeavesRoot, TenantFolders, inside

ANA = Actor(tenant_id=UUID(int=1), user_id=UUID(int=11))
BOB = Actor(tenant_id=UUID(int=2), user_id=UUID(int=12))
NOTEBOOK: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    set_current_actor(None)
    yield
    set_current_actor(None)


@pytest.fixture
def contents(tmp_path: Path) -> TenantContentsManager:
    return TenantContentsManager(workspaces=str(tmp_path / "workspaces"))


def do(actor: Actor | None, call: Coroutine[Any, Any, Any]) -> Any:
    with acting(actor):
        return asyncio.run(call)


def text(content: str) -> dict[str, Any]:
    return {"type": "file", "format": "text", "content": content}


def test_each_tenant_has_files_and_checkpoints_of_its_own(contents: TenantContentsManager) -> None:
    do(ANA, contents.save(text("hers"), "a.txt"))
    do(ANA, contents.create_checkpoint("a.txt"))
    assert do(ANA, contents.get("a.txt"))["content"] == "hers"
    assert [kept["id"] for kept in do(ANA, contents.list_checkpoints("a.txt"))] == ["checkpoint"]
    assert not do(BOB, contents.exists("a.txt"))
    assert do(BOB, contents.list_checkpoints("a.txt")) == []
    with pytest.raises(HTTPError) as missing:
        do(BOB, contents.get("a.txt"))
    assert missing.value.status_code == 404
    kept = list(Path(contents.workspaces).rglob("*-checkpoint.txt"))
    assert [path.parent.parent.name for path in kept] == [str(ANA.tenant_id)]


def test_without_an_actor_every_call_is_refused(contents: TenantContentsManager) -> None:
    calls = [
        contents.get("a"), contents.save(text(""), "a"), contents.dir_exists(""), contents.file_exists("a"),
        contents.exists("a"), contents.is_hidden("a"), contents.new_untitled(), contents.new(None, "a"),
        contents.copy("a"), contents.update({}, "a"), contents.delete("a"), contents.delete_file("a"),
        contents.rename_file("a", "b"), contents.get_kernel_path("a"), contents.resolve_path("a"),
        contents.trust_notebook("a"), contents.create_checkpoint("a"), contents.restore_checkpoint("c", "a"),
        contents.list_checkpoints("a"), contents.delete_checkpoint("c", "a"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(HTTPError) as refused:
            do(None, call)
        assert refused.value.status_code == 403
    assert not list(Path(contents.workspaces).glob("*"))


def test_who_may_only_read_gets_files_that_say_so(contents: TenantContentsManager) -> None:
    writer = Actor(ANA.tenant_id, UUID(int=13), permissions=frozenset({"spec:read", "spec:update"}))
    do(writer, contents.save(text("hers"), "a.txt"))
    for path in ("a.txt", ""):
        assert do(writer, contents.get(path))["writable"] is True
        assert do(ANA, contents.get(path))["writable"] is False


def test_hooks_that_were_registered_once_run_for_every_tenant(contents: TenantContentsManager) -> None:
    before: list[str] = []
    after: list[str] = []

    def pre(*, path: str, contents_manager: Any, **_: Any) -> None:
        assert contents_manager is contents
        before.append(path)

    contents.register_pre_save_hook(pre)
    contents.register_post_save_hook(lambda *, os_path, **_: after.append(Path(os_path).parent.name))
    do(ANA, contents.save({"type": "notebook", "format": "json", "content": NOTEBOOK}, "a.ipynb"))
    do(BOB, contents.new(None, "b.txt"))
    assert before == ["a.ipynb", "b.txt"]
    assert after == [str(ANA.tenant_id), str(BOB.tenant_id)]


@pytest.mark.parametrize("path", ["out.txt", "folder/secret.txt", "../t10/secret.txt", "/../t10/secret.txt"])
def test_nothing_beside_the_root_is_read_or_written(tmp_path: Path, path: str) -> None:
    root, beside = tmp_path / "t1", tmp_path / "t10"
    root.mkdir()
    beside.mkdir()
    (beside / "secret.txt").write_text("secret")
    (root / "out.txt").symlink_to(beside / "secret.txt")
    (root / "folder").symlink_to(beside)
    with pytest.raises(LeavesRoot) as refused:
        inside(root, str(root / path.lstrip("/")), path)
    assert refused.value.status_code == 404
    assert inside(root, str(root / "own.txt"), "own.txt") == str(root / "own.txt")


def test_a_link_in_place_of_checkpoints_or_of_a_copy_leads_nowhere(
    contents: TenantContentsManager, tmp_path: Path
) -> None:
    do(ANA, contents.save(text("hers"), "a.txt"))
    root = Path(contents.workspaces) / str(ANA.tenant_id)
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / ".ipynb_checkpoints").symlink_to(outside)
    with pytest.raises(HTTPError):
        do(ANA, contents.create_checkpoint("a.txt"))
    (root / ".~a.txt").symlink_to(outside / "copy")
    with pytest.raises(HTTPError):
        do(ANA, contents.save(text("new"), "a.txt"))
    assert os.listdir(outside) == []  # noqa: PTH208 - names are enough
    assert (root / "a.txt").read_text() == "hers"


def test_a_link_that_comes_after_the_path_was_checked_is_seen(contents: TenantContentsManager, tmp_path: Path) -> None:
    with acting(ANA):
        files = contents.tenants.mine()
    (tmp_path / "secret.txt").write_text("secret")
    checked = Path(files.root_dir) / "a.txt"
    checked.symlink_to(tmp_path / "secret.txt")
    with pytest.raises(LeavesRoot), files.open(str(checked), "rb"):
        pass


def test_missing_files_and_folders_are_not_found(contents: TenantContentsManager) -> None:
    calls = [
        contents.save(text(""), "no/folder.txt"),
        contents.update({"path": "b"}, "missing"),
        contents.create_checkpoint("missing"),
        contents.restore_checkpoint("checkpoint", "missing"),
    ]
    for call in calls:
        with pytest.raises(HTTPError) as refused:
            do(ANA, call)
        assert refused.value.status_code == 404


def test_state_is_kept_beside_the_files_and_readable_by_the_server_alone(tmp_path: Path) -> None:
    folders = TenantFolders(tmp_path / "workspaces")
    files, layouts = folders.files(ANA.tenant_id), folders.of_person(ANA, "workspaces")
    assert not layouts.is_relative_to(folders.workspaces)
    assert str(ANA.user_id) in layouts.parts
    assert {path.stat().st_mode & 0o777 for path in (files, layouts)} == {0o700}
