"""Jupyter's pre-save hook, through Jupyter's own contents manager on a real folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from tornado.web import HTTPError

from devstudio_server.jupyter.contents import pre_save_hook
from devstudio_server.kit.errors import AppError, Conflict
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld

EMPTY: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


def manager(root: Path, save: Any) -> LargeFileManager:
    made = LargeFileManager(root_dir=str(root))
    made.register_pre_save_hook(pre_save_hook(save))
    return made


def model(content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "notebook", "format": "json", "content": json.loads(json.dumps(content))}


def test_the_answer_is_written_in_place_of_what_was_sent(tmp_path: Path) -> None:
    seen: list[str] = []

    def save(path: str, content: Any) -> Any:
        seen.append(path)
        return {**content, "metadata": {"answered": True}}

    manager(tmp_path, save).save(model(EMPTY), "a.ipynb")
    assert seen == ["a.ipynb"]
    assert json.loads((tmp_path / "a.ipynb").read_text())["metadata"] == {"answered": True}


def test_none_leaves_a_notebook_and_other_files_are_not_asked(tmp_path: Path) -> None:
    seen: list[str] = []
    contents = manager(tmp_path, lambda path, _content: seen.append(path))
    contents.save(model(EMPTY), "a.ipynb")
    contents.save({"type": "file", "format": "text", "content": "x"}, "a.md")
    contents.save({"type": "directory"}, "folder")
    assert seen == ["a.ipynb"]
    assert json.loads((tmp_path / "a.ipynb").read_text())["metadata"] == {}


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Conflict("Both sides changed 100% of it."), 409, "Both sides changed"),
        (KeyError("secret"), 500, "log says why"),
    ],
)
def test_an_error_refuses_the_save_and_nothing_is_written(
    tmp_path: Path, error: Exception, status: int, words: str
) -> None:
    def save(_path: str, _content: Any) -> Any:
        raise error

    (tmp_path / "a.ipynb").write_text("old")
    with pytest.raises(HTTPError) as refused:
        manager(tmp_path, save).save(model(EMPTY), "a.ipynb")
    assert refused.value.status_code == status
    assert words in str(refused.value.log_message)
    assert "secret" not in str(refused.value)
    assert (tmp_path / "a.ipynb").read_text() == "old"
    if isinstance(error, AppError):
        assert refused.value.reason == error.title


def test_a_save_in_jupyter_updates_the_documents(domain: DomainWorld) -> None:
    session = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
    root = domain.workspaces.tenant_root(domain.actor.tenant_id)
    contents = manager(root, lambda path, content: domain.sync.save(domain.actor, path, content))
    contents.allow_hidden = True
    opened = contents.get(session.notebook_path)
    cell = next(cell for cell in opened["content"]["cells"] if "Say thanks" in cell["source"])
    cell["source"] = cell["source"].replace("Say thanks", "Say hello")
    contents.save({key: opened[key] for key in ("type", "format", "content")}, session.notebook_path)
    assert domain.tasks(session.id)[1].title == "Say hello"
    written = contents.get(session.notebook_path)["content"]
    assert written["metadata"]["devstudio"]["version"] == domain.read(session.id).version
