"""Sync over HTTP: a file that another program changed, a conflict with its answer, and a deletion that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.domain_world import REQUIREMENTS, TASKS
from support.studio import Answer, Api, Studio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server that looks at files only when it is asked to."""
    with Studio(tmp_path_factory.mktemp("sync") / "data", {"DEVSTUDIO_WATCH": "off"}) as made:
        yield made


class Specified:
    """A session with its files on the disk."""

    def __init__(self, server: Studio) -> None:
        self.api: Api = server.api
        self.session = self.api.session(self.api.project()["id"])
        self.home = f"spec-sessions/{self.session['id']}"
        self.put(requirements=REQUIREMENTS, tasks=TASKS)
        (notebook,) = server.data_dir.rglob(self.session["notebook_path"])
        self.folder = Path(notebook).parent

    def put(self, **documents: str) -> None:
        self.api.put(self.home, {"documents": documents}).expect(200)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        (self.folder / name).write_text(text.replace(old, new))

    def stored(self, kind: str) -> str:
        return str(self.api.get(self.home).expect(200)["documents"][kind]["content"])

    def sync(self, **body: str) -> dict[str, Any]:
        return dict(self.api.post(f"{self.home}/sync", body).expect(200))

    def answer(self, conflict: dict[str, Any], choice: str, version: int | None = None) -> Answer:
        expected = conflict["version"] if version is None else version
        headers = {"If-Match": f'"{expected}"'}
        return self.api.send("POST", f"conflicts/{conflict['id']}/resolve", json={"choice": choice}, headers=headers)


@pytest.fixture
def specified(server: Studio) -> Specified:
    return Specified(server)


def test_a_file_that_changed_on_the_disk_is_taken_in_when_asked(specified: Specified) -> None:
    specified.edit("tasks.md", "Say thanks", "Say thank you")
    assert "Say thank you" not in specified.stored("tasks")
    done = specified.sync(source="files")
    assert (done["changed"], done["conflicts"], done["deletions"], done["kept"]) == (["tasks"], [], [], [])
    assert "Say thank you" in done["session"]["documents"]["tasks"]["content"]
    assert "Say thank you" in (specified.folder / f"{specified.folder.name}.ipynb").read_text()
    again = specified.sync()
    assert (again["changed"], again["session"]["version"]) == ([], done["session"]["version"])
    specified.api.post(f"{specified.home}/sync", {"source": "all", "force": True}).problem(422)


def test_a_conflict_waits_and_is_answered_by_who_read_it(specified: Specified) -> None:
    before = specified.stored("tasks")
    specified.edit("tasks.md", "Say thanks", "Say hello")
    specified.put(tasks=before.replace("Say thanks", "Say good bye"))
    (conflict,) = specified.sync()["conflicts"]
    assert [conflict[side].split(". ")[1] for side in ("base", "ours", "theirs")] == [
        "Say thanks",
        "Say good bye",
        "Say hello",
    ]
    assert (conflict["source"], conflict["status"]) == ("markdown", "open")
    specified.answer(conflict, "theirs", version=conflict["version"] + 1).problem(412)
    answered = specified.answer(conflict, "theirs").expect(200)
    assert (answered["conflict"]["status"], answered["conflict"]["resolution"]) == ("resolved", "theirs")
    assert "Say hello" in specified.stored("tasks")
    assert (specified.folder / "tasks.md").read_text() == specified.stored("tasks")
    specified.answer(answered["conflict"], "ours").problem(409)
    listed = specified.api.get(f"{specified.home}/conflicts", status="resolved").expect(200)["items"]
    assert [row["id"] for row in listed] == [conflict["id"]]
    assert specified.api.get(f"{specified.home}/conflicts", status="open").expect(200)["items"] == []


@pytest.mark.parametrize("choice", ["restore", "delete"])
def test_a_deleted_file_asks_before_anything_goes(specified: Specified, choice: str) -> None:
    file = specified.folder / "tasks.md"
    file.unlink()
    (deletion,) = specified.sync()["deletions"]
    assert (deletion["document"], deletion["path"].endswith("/tasks.md"), len(deletion["block_ids"])) == (
        "tasks",
        True,
        2,
    )
    assert "Say thanks" in specified.stored("tasks")
    assert not file.exists()
    specified.answer(deletion, "theirs").problem(422)
    specified.answer(deletion, choice).expect(200)
    assert ("Say thanks" in specified.stored("tasks")) == ("Say thanks" in file.read_text()) == (choice == "restore")
    assert specified.sync()["deletions"] == []
