"""What a person does in JupyterLab by clicking."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

RUN_MS = 120_000


class Person:
    """What a person does in JupyterLab, and the screenshots of what they see."""

    def __init__(self, page: Page, artifacts: Path, name: str) -> None:
        self.page = page
        self._artifacts = artifacts
        self._name = name
        self._shots = 0

    def see(self, what: str) -> None:
        """Keep a screenshot."""
        self._shots += 1
        self.page.screenshot(path=self._artifacts / f"{self._name}-{self._shots:02d}-{what}.png")

    def open(self, url: str) -> None:
        self.page.goto(url)
        expect(self.page.locator(".jp-Launcher").first).to_be_visible(timeout=60_000)
        self.see("launcher")

    def new_project(self, name: str, kind: str, template: str) -> None:
        self.page.locator(".jp-LauncherCard", has_text="New project").click()
        self.page.get_by_test_id("field-name").fill(name)
        self.page.get_by_test_id("field-description").fill("Made by a test that clicks.")
        self.page.get_by_test_id("field-type").select_option(kind)
        self.page.get_by_test_id("field-template").select_option(template)
        self.see("new-project")
        self.page.get_by_test_id("dialog-submit").click()
        # What comes next is offered at once: a session of the new project.
        expect(self.page.get_by_test_id("field-title")).to_be_visible()
        expect(self.page.get_by_test_id("project-item").filter(has_text=name).first).to_be_attached()

    def new_session(self, project: str, title: str) -> None:
        self.page.get_by_test_id("field-project_id").select_option(label=project)
        self.page.get_by_test_id("field-title").fill(title)
        self.see("new-session")
        self.page.get_by_test_id("dialog-submit").click()
        expect(self.page.get_by_test_id("session-view")).to_be_visible()
        self.see("session")

    def write_requirements(self, text: str) -> None:
        self.page.get_by_test_id("doc-tab-requirements").click()
        self.page.get_by_test_id("doc-editor").fill(text)
        self.page.get_by_test_id("doc-save").click()
        expect(self.page.get_by_test_id("phase-requirements")).to_contain_text("1")
        self.see("requirements")

    def plan(self, stage: str, model: str, prompt: str) -> None:
        self.page.get_by_test_id("plan-stage").select_option(stage)
        self.page.get_by_test_id("plan-model").select_option(model)
        self.page.get_by_test_id("plan-prompt").fill(prompt)
        self.page.get_by_test_id("plan-submit").click()
        expect(self.page.get_by_test_id("plan-usage")).to_be_visible(timeout=RUN_MS)
        expect(self.page.get_by_test_id("proposal-block").first).to_be_visible()
        self.see("proposal")
        self.page.get_by_test_id("proposal-accept-all").click()
        expect(self.page.get_by_test_id("task-item").first).to_be_visible()
        self.see("planned")

    def finish_task(self, key: str) -> None:
        """Generate, review, approve, apply and test one task, by the one button that is its next step."""
        self.generate(key)
        self.review(key)
        self.approve()
        expect(self.page.get_by_test_id("patch-approvals")).to_contain_text("elf-reviewed")
        self.apply()
        self.see(f"task-{key}-run")

    def task(self, key: str) -> Locator:
        """The task in the session view."""
        return self.page.locator(f'[data-testid="task-item"][data-task-key="{key}"]')

    def generate(self, key: str) -> None:
        button = self.task(key).get_by_test_id("task-primary")
        expect(button).to_contain_text("Generate")
        button.click()
        expect(self.task(key).get_by_test_id("start-estimate")).to_contain_text("tokens")
        self.see(f"task-{key}-estimate")
        self.task(key).get_by_test_id("task-start").click()
        expect(button).to_contain_text("Review", timeout=RUN_MS)
        self.see(f"task-{key}-generated")

    def review(self, key: str) -> None:
        button = self.task(key).get_by_test_id("task-primary")
        expect(button).to_contain_text("Review")
        button.click()
        expect(self.page.get_by_test_id("patch-view")).to_be_visible()
        expect(self.page.get_by_test_id("patch-diff").locator(".cm-mergeView")).to_be_visible()
        expect(self.page.get_by_test_id("patch-file").first).to_be_visible()
        self.see(f"task-{key}-review")

    def approve(self) -> None:
        self.page.get_by_test_id("patch-approve").click()
        expect(self.page.get_by_test_id("patch-status")).to_have_attribute("data-status", "approved")

    def apply(self) -> None:
        self.page.get_by_test_id("patch-apply").click()
        expect(self.page.get_by_test_id("run-view")).to_be_visible()
        expect(self.page.get_by_test_id("run-log")).to_contain_text("Applying the patch", timeout=RUN_MS)
        expect(self.page.get_by_test_id("run-status")).to_have_attribute("data-status", "success", timeout=RUN_MS)
        expect(self.page.get_by_test_id("run-log")).to_contain_text("Committed")

    def close_tabs_but_session(self, title: str) -> None:
        """Close what was opened on the way, so that the session shows."""
        for label in ("Patch", "Run"):
            for tab in self.page.locator(".lm-TabBar-tab", has_text=label).all():
                tab.locator(".lm-TabBar-tabCloseIcon").click()
        self.page.locator(".lm-TabBar-tab", has_text=title).first.click()

    def close_all_tabs(self) -> None:
        """Close whatever is open; JupyterLab then shows its launcher."""
        tabs = self.page.locator("#jp-main-dock-panel .lm-TabBar-tab.lm-mod-closable")
        for _ in range(tabs.count()):
            tabs.first.locator(".lm-TabBar-tabCloseIcon").click()
