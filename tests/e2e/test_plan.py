"""Planning by clicking in JupyterLab: text that streams, Stop, blocks one by one, reasons, approvals, and the cost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.person import Person
from support.domain_world import REQUIREMENTS, TASKS
from support.model_environment import model_environment
from support.model_server import Answer, Call, Flow, ModelServer, SeenRequest
from support.studio import TOKEN, Studio

PIECE, PIECES = 8, 30
"""An answer comes in pieces of so many characters, and is held after so many of them."""
FIRST, LAST = "add them", "answer 0"
REASON = "Name the largest number that is taken"
LOADED_MS = 20_000
"""How long everything that a session shows may take to be read anew, on a machine with much else to do."""


@dataclass
class HeldBrain:
    """Writes one text, the first time only up to its middle until it is let go."""

    text: str = REQUIREMENTS
    document: str = "requirements"
    hold: bool = True
    release: threading.Event = field(default_factory=threading.Event)

    def think(self, request: SeenRequest) -> Answer:
        """Answer with the document."""
        del request
        flow = Flow(piece=PIECE, after=PIECES, release=self.release) if self.hold else Flow()
        return Answer(calls=[Call("write_documents", {self.document: self.text})], flow=flow)


@dataclass
class Planner:
    """A person who plans with a model that waits for the test."""

    person: Person
    brain: HeldBrain
    models: ModelServer
    studio: Studio
    session: dict[str, Any]

    @property
    def page(self) -> Page:
        return self.person.page

    def see(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid)

    def generate(self, stage: str = "requirements") -> None:
        self.see("plan-stage").select_option(stage)
        self.see("plan-submit").click()

    def saved(self, kind: str = "requirements") -> str:
        found = self.studio.api.get(f"spec-sessions/{self.session['id']}").expect(200)
        return str(found["documents"][kind]["content"])


@pytest.fixture
def planner(page: Page, artifacts: Path, tmp_path: Path) -> Iterator[Planner]:
    brain = HeldBrain()
    with (
        ModelServer(brain) as models,
        Studio(tmp_path / "data", model_environment(models)) as studio,
    ):
        session = studio.api.session(studio.api.project(name="Adder")["id"], title="Sums")
        page.goto(f"{studio.url}/lab/workspaces/plan?token={TOKEN}")
        page.get_by_test_id("project-item").click(timeout=60_000)
        page.get_by_test_id("session-item").click()
        offered = studio.api.get("ai/models").expect(200)["items"]
        model = next(item["id"] for item in offered if item["provider"] == "openai")
        page.get_by_test_id("plan-model").select_option(model)
        yield Planner(Person(page, artifacts, "plan"), brain, models, studio, session)
        brain.release.set()


def test_a_person_stops_rejects_and_accepts_what_a_model_proposes(planner: Planner) -> None:
    page, brain = planner.page, planner.brain
    # Stopped in mid-stream: the text that came stays, and nothing is proposed or written.
    planner.generate()
    expect(planner.see("streamed-text")).to_contain_text(FIRST)
    expect(planner.see("plan-progress")).to_be_visible()
    planner.person.see("streaming")
    planner.see("plan-progress-stop").click()
    left = planner.see("partial-text")
    expect(left).to_contain_text(FIRST)
    expect(left).not_to_contain_text(LAST)
    planner.person.see("stopped")
    assert planner.saved() == ""
    assert planner.studio.api.get(f"spec-sessions/{planner.session['id']}/proposals").expect(200)["items"] == []
    # To the end, and rejected with a reason, which the next prompt carries.
    brain.hold = False
    planner.generate()
    expect(planner.see("proposal-block").first).to_be_visible()
    expect(left).to_have_count(0)
    planner.see("proposal-reject").click()
    planner.see("reject-reason").fill(REASON)
    planner.see("reject-confirm").click()
    expect(planner.see("proposal-rejected")).to_contain_text(REASON)
    assert planner.saved() == ""
    planner.generate()
    expect(planner.see("proposal-block").first).to_be_visible()
    prompts = ["\n".join(turn.text for turn in request.turns) for request in planner.models.requests]
    assert [REASON in prompt for prompt in prompts] == [False] * (len(prompts) - 1) + [True]
    planner.person.see("proposal")
    planner.see("proposal-accept-all").click()
    expect(planner.see("proposal")).to_have_count(0)
    expect(planner.see("doc-editor")).to_contain_text(LAST)
    # One block of two, by the keyboard: only that one changes.
    brain.text = REQUIREMENTS.replace(FIRST, "give their sum").replace(LAST, "refuse")
    planner.generate()
    blocks = page.locator('[data-testid="proposal-block"][data-block-kind="changed"]')
    expect(blocks).to_have_count(2)
    planner.person.see("two-changes")
    blocks.first.focus()
    page.keyboard.press("ArrowDown")
    expect(blocks.last).to_be_focused()
    page.keyboard.press("a")
    expect(blocks.last).to_have_attribute("data-accepted", "true")
    assert (FIRST in planner.saved(), "refuse" in planner.saved(), LAST in planner.saved()) == (True, True, False)
    expect(planner.see("doc-editor")).to_contain_text("refuse")
    planner.person.see("one-accepted")
    approves_and_counts(planner)


def approves_and_counts(planner: Planner) -> None:
    """Approve the requirements, plan tasks on them, change them, and look at what it all cost."""
    page, brain = planner.page, planner.brain
    planner.see("proposal-accept-all").click()
    expect(planner.see("proposal")).to_have_count(0)
    planner.see("doc-approve").click()
    expect(planner.see("phase-requirements")).to_have_attribute("data-status", "approved", timeout=LOADED_MS)
    brain.text, brain.document = TASKS, "tasks"
    planner.generate("tasks")
    planner.see("proposal-accept-all").click()
    expect(planner.see("task-item")).to_have_count(2)
    expect(planner.see("tasks-without-criterion")).to_contain_text("2")
    planner.see("doc-approve").click()
    expect(planner.see("phase-tasks")).to_have_attribute("data-status", "approved", timeout=LOADED_MS)
    planner.see("doc-tab-requirements").click()
    planner.see("doc-editor").fill(planner.saved().replace("refuse", "be fast"))
    planner.see("doc-save").click()
    expect(planner.see("phase-requirements")).to_have_attribute("data-status", "draft", timeout=LOADED_MS)
    expect(planner.see("phase-tasks")).to_have_attribute("data-status", "suspect", timeout=LOADED_MS)
    expect(planner.see("doc-warning").first).to_be_visible()
    planner.see("doc-warning").get_by_role("button").first.click()
    expect(planner.see("doc-editor")).to_be_focused()
    planner.person.see("suspect")
    # What a generation would cost is told before it starts, and it may be left.
    planner.see("task-primary").first.click()
    expect(planner.see("start-estimate")).to_contain_text("US$", timeout=LOADED_MS)
    planner.person.see("estimate")
    planner.see("task-start-cancel").click()
    expect(planner.see("start-estimate")).to_have_count(0)
    planner.see("open-costs").click()
    expect(planner.see("cost-row")).to_have_count(1)
    planner.see("budget-set").click()
    planner.see("field-limit").fill("-1")
    planner.see("dialog-submit").click()
    expect(planner.see("field-error-limit")).to_be_visible()
    planner.see("field-limit").fill("0.05")
    planner.see("dialog-submit").click()
    expect(planner.see("budget-words")).to_contain_text("of US$\u00a00.05 spent")
    with page.expect_download() as download:
        planner.see("costs-csv").click()
    assert download.value.path().read_text().startswith("key,label,calls,")
    planner.person.see("costs")
