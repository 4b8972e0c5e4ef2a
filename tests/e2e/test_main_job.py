"""The main job by clicking in JupyterLab, from New project to a done task, in a fresh clone with an empty HOME."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from e2e.person import Person
from support.checkout import MakeRun
from support.example_brain import EXAMPLES
from support.studio import TOKEN


@pytest.mark.parametrize("provider", ["openai", "offline"])
def test_a_person_brings_a_task_to_done(page: Page, fresh_studio: MakeRun, artifacts: Path, provider: str) -> None:
    person = Person(page, artifacts, provider)
    person.open(f"{fresh_studio.url}/lab/workspaces/{provider}?token={TOKEN}")
    expect(page.get_by_test_id("devstudio-panel")).to_be_attached()
    name = "Semantic versions" if provider == "openai" else "Hello offline"
    person.new_project(name, "integration", "python")
    title = f"By hand with {provider}"
    person.new_session(name, title)
    models = fresh_studio.api.get("ai/models").expect(200)["items"]
    model = next(item["id"] for item in models if item["provider"] == provider)
    if provider == "openai":
        person.write_requirements((EXAMPLES / "semver/requirements.md").read_text())
        person.plan("tasks", model, "")
    else:
        person.plan("all", model, "A small tool that reads its settings.")
        expect(page.get_by_test_id("plan-usage")).to_contain_text("ffline")
    person.finish_task("1")
    person.close_tabs_but_session(title)
    task = page.locator('[data-testid="task-item"][data-task-key="1"]')
    expect(task).to_have_attribute("data-task-status", "done")
    expect(task.get_by_test_id("task-evidence")).to_be_visible()
    person.see("done")
    session = fresh_studio.api.get("spec-sessions", limit=1).expect(200)["items"][0]
    tasks = fresh_studio.api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"]
    assert tasks[0]["status"] == "done"
    assert tasks[0]["evidence"]["commit"]


def save(page: Page) -> None:
    """Save the notebook in front, and see that the server took it.

    A save ends with its checkpoint; until then JupyterLab passes over the next one.
    """
    with (
        page.expect_response(lambda answer: answer.request.method == "POST" and "/checkpoints" in answer.url),
        page.expect_response(lambda answer: answer.request.method == "PUT" and ".ipynb" in answer.url) as saved,
    ):
        page.keyboard.press("Control+S")
    assert saved.value.status == 200


def is_reading(answer: Response) -> bool:
    """Whether it is the notebook as it is on disk, which JupyterLab reads after the server wrote it."""
    return answer.request.method == "GET" and ".ipynb" in answer.url and "content=1" in answer.url


def test_the_notebook_is_saved_into_the_documents(page: Page, fresh_studio: MakeRun, artifacts: Path) -> None:
    api = fresh_studio.api
    session = api.session(api.project(name="Notebook project")["id"], title="Notebook session")
    person = Person(page, artifacts, "notebook")
    page.goto(f"{fresh_studio.url}/lab/workspaces/notebook/tree/{session['notebook_path']}?token={TOKEN}")
    cell = page.locator(".jp-Notebook .jp-MarkdownCell").first
    expect(cell).to_be_visible(timeout=60_000)
    cell.dblclick()
    content = cell.locator(".cm-content")
    content.fill(
        "# Requirements\n\n### Requirement 1: Hi\n#### Acceptance Criteria\n1. WHEN greeted THE SYSTEM SHALL answer\n"
    )
    with page.expect_response(is_reading):
        save(page)
    # A second save of the same editor, whose text has no ids: no conflict, no dialog, and the ids stay what they are.
    # The server made two cells of it, but it stays one for as long as somebody types in it.
    first = api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]["content"]
    content.press("Control+End")
    content.press_sequentially("2. WHEN left alone THE SYSTEM SHALL wait")
    save(page)
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    person.see("saved")
    found = api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]
    assert "WHEN greeted THE SYSTEM SHALL answer <!-- id:" in found["content"]
    criteria = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["criteria"]
    assert [row["key"] for row in criteria] == ["1.1", "1.2"]
    assert found["content"].startswith(first.rstrip("\n"))
    cells = page.locator(".jp-Notebook .jp-MarkdownCell")
    expect(cells).to_have_count(3)
    page.keyboard.press("Escape")
    expect(cells).to_have_count(4)
    expect(cells.nth(1)).to_contain_text("WHEN left alone THE SYSTEM SHALL wait")
