"""Two writers at once: a person types in the notebook in JupyterLab while another program rewrites the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.person import Person
from support.domain_world import REQUIREMENTS, TASKS
from support.studio import TOKEN, Studio

NOTICED_MS = 30_000
"""How long it may take until what was written on disk is on the screen, on a machine with much else to do."""


@dataclass
class Writers:
    """A person with the notebook open, and another program with the files."""

    person: Person
    studio: Studio
    session: dict[str, Any]

    @property
    def page(self) -> Page:
        return self.person.page

    def file(self, name: str) -> Path:
        workspaces = self.studio.data_dir / "workspaces"
        (tenant,) = workspaces.iterdir()
        return (tenant / str(self.session["notebook_path"])).parent / name

    def rewrite(self, name: str, old: str, new: str) -> None:
        text = self.file(name).read_text()
        assert old in text
        other = self.file(name).with_suffix(".new")
        other.write_text(text.replace(old, new))
        other.replace(self.file(name))

    def stored(self, kind: str) -> str:
        found = self.studio.api.get(f"spec-sessions/{self.session['id']}").expect(200)
        return str(found["documents"][kind]["content"])

    def conflicts(self) -> list[dict[str, Any]]:
        return list(self.studio.api.get(f"spec-sessions/{self.session['id']}/conflicts").expect(200)["items"])

    def cell(self, text: str) -> Locator:
        return self.page.locator(".jp-Notebook .jp-MarkdownCell").filter(has_text=text)

    def type_into(self, cell: Locator, text: str) -> None:
        cell.click()
        self.page.keyboard.press("Enter")
        expect(cell.locator(".cm-content")).to_be_focused()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type(text)

    def save(self) -> None:
        expect(self.page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(1)
        self.page.keyboard.press("Control+S")
        expect(self.page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)

    def see(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid)


@pytest.fixture
def writers(page: Page, artifacts: Path, tmp_path: Path) -> Iterator[Writers]:
    with Studio(tmp_path / "data") as studio:
        created = studio.api.session(studio.api.project(name="Adder")["id"], title="Sums")
        documents = {"requirements": REQUIREMENTS, "tasks": TASKS}
        session = studio.api.put(f"spec-sessions/{created['id']}", {"documents": documents}).expect(200)
        page.goto(f"{studio.url}/lab/workspaces/sync/tree/{session['notebook_path']}?token={TOKEN}")
        expect(page.locator(".jp-Notebook .jp-MarkdownCell").filter(has_text="Say thanks")).to_be_visible(
            timeout=60_000
        )
        expect(page.locator('[data-jp-item-name="devstudio-tasks"]')).to_be_visible()
        yield Writers(Person(page, artifacts, "sync"), studio, session)


def test_two_writers_lose_nothing_and_settle_what_both_changed(writers: Writers) -> None:
    page = writers.page
    # Different blocks: what was written on disk comes into the open notebook, and what is being typed stays.
    writers.type_into(writers.cell("Say thanks"), "\n  - typed in the notebook")
    writers.rewrite("requirements.md", "add them", "give their sum")
    expect(writers.cell("give their sum")).to_be_visible(timeout=NOTICED_MS)
    expect(writers.cell("Say thanks")).to_contain_text("typed in the notebook")
    page.keyboard.type(", and on")  # the cursor is where it was
    expect(writers.cell("Say thanks")).to_contain_text("typed in the notebook, and on")
    writers.person.see("both")
    writers.save()
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    assert "typed in the notebook, and on" in writers.stored("tasks")
    assert "give their sum" in writers.stored("requirements")
    assert "typed in the notebook, and on" in writers.file("tasks.md").read_text()
    assert writers.conflicts() == []
    same_block(writers)
    deleted_file(writers)


def same_block(writers: Writers) -> None:
    """Both change one line; both texts are shown, and the person chooses, takes it back, and writes a third."""
    page = writers.page
    cell = writers.cell("Say thanks")
    writers.rewrite("tasks.md", "plain functions", "pure functions")
    expect(writers.cell("pure functions")).to_be_visible(timeout=NOTICED_MS)
    page.keyboard.type(" MINE")
    writers.rewrite("tasks.md", "typed in the notebook, and on", "written on disk THEIRS")
    until(writers, lambda: "THEIRS" in writers.stored("tasks"))
    expect(cell).to_contain_text("and on MINE")
    writers.save()
    expect(writers.see("notebook-conflicts")).to_be_visible(timeout=NOTICED_MS)
    expect(page.locator(".jp-Cell.devstudio-mod-conflict")).to_have_count(1)
    writers.person.see("marked")
    (conflict,) = writers.conflicts()
    assert ("THEIRS" in conflict["ours"], "MINE" in conflict["theirs"]) == (True, True)
    writers.see("notebook-conflicts").click()
    shown = writers.see("conflict")
    expect(shown).to_have_count(1, timeout=NOTICED_MS)
    expect(writers.see("conflict-text-ours")).to_contain_text("THEIRS")
    expect(writers.see("conflict-text-theirs")).to_contain_text("MINE")
    expect(writers.see("sync-state")).to_have_attribute("data-status", "conflicts")
    writers.person.see("conflict")
    shown.focus()
    page.keyboard.press("t")
    expect(writers.see("conflict-done")).to_be_visible(timeout=NOTICED_MS)
    expect(shown).to_have_count(0)
    assert ("MINE" in writers.stored("tasks"), "THEIRS" in writers.stored("tasks")) == (True, False)
    writers.person.see("resolved")
    writers.see("conflict-undo").click()
    expect(writers.see("conflict-done")).to_have_count(0, timeout=NOTICED_MS)
    assert "THEIRS" in writers.stored("tasks")
    assert "MINE" in writers.conflicts()[0]["theirs"]  # what was left out is kept with the answer


def deleted_file(writers: Writers) -> None:
    """A file that somebody deletes asks, and comes back when the person says so."""
    before = writers.stored("requirements")
    writers.file("requirements.md").unlink()
    question = writers.page.locator('[data-testid="conflict"][data-kind="deletion"]')
    expect(question).to_be_visible(timeout=NOTICED_MS)
    writers.person.see("deletion")
    assert writers.stored("requirements") == before
    assert not writers.file("requirements.md").exists()
    question.get_by_test_id("conflict-restore").click()
    expect(question).to_have_count(0, timeout=NOTICED_MS)
    assert writers.file("requirements.md").read_text() == before
    expect(writers.see("sync-state")).to_have_attribute("data-status", "synced")
    writers.person.see("in-sync")


def until(writers: Writers, done: Any) -> None:
    """Look again while the page goes on."""
    for _ in range(300):
        if done():
            return
        writers.page.wait_for_timeout(100)
    pytest.fail("it did not happen")
