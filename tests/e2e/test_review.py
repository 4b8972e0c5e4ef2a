"""Reviews in JupyterLab: two people and one patch, by the keyboard, with edits, conflicts, a policy and evidence."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from devstudio_evidence import __main__ as evidence_command
from e2e.company import SEMVER, Company, Member
from e2e.conftest import clean_page
from e2e.person import RUN_MS
from support.example_brain import EXAMPLES
from support.studio import Studio
from support.team import Team

SOON_MS = 3000


@dataclass
class Pair:
    """Eva, who asks for patches, and Ada, who approves them; each keeps a browser for all tests of this module."""

    eva: Member
    ada: Member
    project: dict[str, Any]

    def plan(self, title: str) -> tuple[list[dict[str, Any]], str]:
        """Make a session of the first example, open it for both, and return its tasks and the model."""
        api = self.eva.api
        session = api.session(self.project["id"], title=title)
        requirements = (EXAMPLES / "semver/requirements.md").read_text()
        api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": requirements}}, version=1).expect(200)
        model = next(item["id"] for item in api.get("ai/models").expect(200)["items"] if item["provider"] == "openai")
        plan = {"session_id": session["id"], "stage": "tasks", "model": model}
        tasks: list[dict[str, Any]] = api.post("plan", plan).expect(200)["tasks"]
        for person in (self.eva, self.ada):
            person.close_all_tabs()
            person.open_session(title)
        return tasks, model


@pytest.fixture(scope="module")
def pair(team_studio: Studio, team: Team, browser: Browser, artifacts: Path) -> Iterator[Pair]:
    with ExitStack() as pages:
        company = Company(
            team_studio, team, lambda **size: pages.enter_context(clean_page(browser, **size)), artifacts, pages
        )
        company.story = "review"
        eva, ada = company.member("eva", "executor", dark=True), company.member("ada", "admin_devstudio")
        yield Pair(eva, ada, eva.api.project(name=SEMVER, type="integration"))


def test_two_people_review_a_patch_and_see_what_it_proves(pair: Pair, artifacts: Path) -> None:
    eva, ada = pair.eva, pair.ada
    tasks, model = pair.plan("Precedence of versions")
    made = eva.api.post("code/generate", {"task_id": tasks[0]["id"], "model": model}).expect(201)
    eva.review("1")
    is_told_why_she_cannot_approve(eva)
    ada.review("1")
    reviews_with_the_keyboard(ada)
    eva_edits = types_into_the_patch(eva)
    status = ada.page.get_by_test_id("patch-status")
    expect(status).to_have_attribute("data-status", "pending", timeout=SOON_MS)
    expect(ada.page.get_by_test_id("patch-revision")).to_have_text("2")
    expect(ada.page.get_by_test_id("patch-approvals")).to_contain_text("void")
    expect(ada.page.get_by_test_id("diff-path")).to_have_text(eva_edits)
    ada.see("void")
    ada.page.get_by_test_id("patch-view").press("Control+Enter")
    expect(status).to_have_attribute("data-status", "approved")

    expect(eva.page.get_by_test_id("patch-status")).to_have_attribute("data-status", "approved", timeout=SOON_MS)
    eva.apply()
    eva.see("run")
    assert eva.api.get(f"code/patches/{made['patch_id']}").expect(200)["status"] == "applied"
    ada.page.get_by_test_id("open-session").click()
    takes_the_evidence_along(ada, artifacts)
    takes_it_back(eva)


def is_told_why_she_cannot_approve(eva: Member) -> None:
    page = eva.page
    expect(page.get_by_test_id("patch-approve")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_test_id("patch-own")).to_contain_text("You prompted this patch")
    expect(page.get_by_test_id("patch-contributors")).to_contain_text("(you)")
    expect(page.get_by_test_id("check-signature")).to_have_attribute("data-mark", "yes")
    expect(page.get_by_test_id("patch-branch")).to_contain_text("protected")
    expect(page.get_by_test_id("patch-approvals-count")).to_have_text("0 of 1 approval")
    page.get_by_test_id("patch-view").press("Control+Enter")
    expect(page.get_by_test_id("patch-status")).to_have_attribute("data-status", "pending")
    eva.see("own")


def reviews_with_the_keyboard(ada: Member) -> None:
    page = ada.page
    view, files = page.get_by_test_id("patch-view"), page.get_by_test_id("patch-file")
    count = files.count()
    expect(page.get_by_test_id("patch-viewed-count")).to_have_text(f"0 of {count} viewed")
    view.press("]")
    expect(page.get_by_test_id("diff-place")).to_contain_text("Change 1 of")
    view.press("v")
    expect(files.nth(0)).to_have_attribute("data-viewed", "true")
    expect(files.nth(1)).to_have_attribute("aria-current", "true")
    page.get_by_test_id("diff-unified").click()
    expect(page.get_by_test_id("diff-no-side")).to_have_count(0)
    ada.see("unified")
    page.get_by_test_id("diff-split").click()
    expect(page.get_by_test_id("diff-no-side")).to_be_visible()
    page.get_by_test_id("replay-start").click()
    expect(page.get_by_test_id("replay-result")).to_have_attribute("data-same", "true", timeout=RUN_MS)
    expect(page.get_by_test_id("replay-tree")).to_have_text("the same")
    for button in ("patch-approve", "patch-reject", "patch-apply"):  # below all that, they are still in sight
        expect(page.get_by_test_id(button)).to_be_in_viewport(ratio=1)
    ada.see("replayed")
    status, count = page.get_by_test_id("patch-status"), page.get_by_test_id("patch-approvals-count")
    view.press("Control+Enter")
    expect(status).to_have_attribute("data-status", "approved")
    expect(count).to_have_text("1 of 1 approval")
    page.get_by_test_id("patch-withdraw").click()
    expect(status).to_have_attribute("data-status", "pending")
    expect(count).to_have_text("0 of 1 approval")
    expect(page.get_by_test_id("patch-withdraw")).to_have_count(0)
    page.get_by_test_id("patch-approve").click()
    expect(status).to_have_attribute("data-status", "approved")
    ada.see("approved")


def types_into_the_patch(eva: Member) -> str:
    """Change a file of the patch, which voids the approval; the text outlives a reload before it is saved."""
    page = eva.page
    page.get_by_test_id("patch-file").nth(1).click()
    path = page.get_by_test_id("diff-path").inner_text()
    page.get_by_test_id("diff-edit").click()
    editor = page.get_by_test_id("patch-diff").locator(".cm-content[contenteditable='true']")
    editor.press("Control+End")
    editor.press_sequentially("\n# looked at by two\n")
    expect(page.get_by_test_id("edits-bar")).to_contain_text(path)
    page.reload()
    expect(page.get_by_test_id("edits-bar")).to_contain_text(path, timeout=60_000)
    eva.see("edited")
    page.get_by_test_id("edits-save").click()
    expect(page.get_by_test_id("edits-saved")).to_contain_text("approvals are void")
    expect(page.get_by_test_id("patch-status")).to_have_attribute("data-status", "pending")
    page.get_by_test_id("patch-revisions-toggle").click()
    expect(page.get_by_test_id("patch-revisions").locator("> li")).to_have_count(2)
    eva.see("revision-2")
    page.get_by_test_id("patch-file").nth(1).click()
    return path


def takes_the_evidence_along(ada: Member, artifacts: Path) -> None:
    page, task = ada.page, ada.task("1")
    expect(task).to_have_attribute("data-task-status", "done")
    expect(task.get_by_test_id("task-reason")).to_contain_text("Done because")
    expect(task.get_by_test_id("task-criterion").first).to_have_attribute("data-status", "proven")
    task.get_by_test_id("evidence-toggle").click()
    proof = task.get_by_test_id("evidence-criterion").first
    expect(proof).to_have_attribute("data-state", "proven")
    expect(proof.get_by_test_id("evidence-why")).to_contain_text("run")
    ada.see("evidence")
    with page.expect_download() as download:
        task.get_by_test_id("evidence-export").click()
    bundle, keys = artifacts / "review-evidence.tar", artifacts / "review-keys.json"
    download.value.save_as(bundle)
    keys.write_text(json.dumps(ada.api.get("signing-keys").expect(200)))
    assert evidence_command.main(["verify", str(bundle), "--key", str(keys)]) == 0
    proof.get_by_test_id("evidence-run").click()
    expect(page.get_by_test_id("run-status")).to_have_attribute("data-status", "success", timeout=RUN_MS)


def takes_it_back(eva: Member) -> None:
    """Make the patch that undoes the applied one; it waits for a review as every other does."""
    page = eva.page
    page.locator(".lm-TabBar-tab", has_text="Patch for task 1").click()
    page.get_by_test_id("patch-revert").click()
    expect(page.get_by_test_id("patch-revert-submit")).to_have_attribute("aria-disabled", "true")
    page.get_by_test_id("patch-revert-reason").fill("It reads too much.")
    page.get_by_test_id("patch-revert-submit").click()
    undo = page.get_by_test_id("patch-view").last
    expect(undo.get_by_test_id("patch-origin")).to_contain_text("Takes an applied patch back")
    expect(undo.get_by_test_id("patch-status")).to_have_attribute("data-status", "pending")
    expect(undo.get_by_test_id("patch-file").first).to_contain_text("deleted")
    expect(undo.get_by_test_id("patch-own")).to_be_visible()
    eva.see("revert")


class Elsewhere:
    """A clone of a project's repository, as somebody has it who pushes from somewhere else."""

    def __init__(self, studio: Studio, project: dict[str, Any], folder: Path) -> None:
        repository = studio.data_dir / "repositories" / project["tenant_id"] / f"{project['id']}.git"
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", str(repository), str(folder)], check=True)

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Elsewhere", "-c", "user.email=elsewhere@example.com"]
        command = ["git", "-C", str(self.folder), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def push(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text)
        self.git("add", path)
        self.git("commit", "--quiet", "-m", "Elsewhere")
        self.git("push", "--quiet", "origin", "HEAD")

    def diff(self) -> bytes:
        """Change a text, a mode and bytes that are no text, and return the diff; nothing of it is kept."""
        (self.folder / "notes.txt").write_text("written in a patch\nand more\n")
        (self.folder / "run.sh").chmod(0o755)
        (self.folder / "pixels.bin").write_bytes(bytes(range(256)) * 8)
        self.git("add", "--all")
        made = self.git("diff", "--cached", "--binary")
        self.git("reset", "--quiet", "--hard")
        return made.encode()


def addition(path: str, *lines: str) -> str:
    added = "".join(f"+{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1,{len(lines)} @@\n{added}"
    )


def test_policies_uploads_and_conflicts(pair: Pair, team_studio: Studio, tmp_path: Path) -> None:
    eva, ada = pair.eva, pair.ada
    elsewhere = Elsewhere(team_studio, pair.project, tmp_path / "elsewhere")
    elsewhere.push("run.sh", "echo run\n")
    tasks, _ = pair.plan("Policies")
    page = eva.page
    uploads_a_patch(eva, elsewhere.diff())

    ada.review("1")
    sets_the_policy(ada)
    expect(page.get_by_test_id("patch-approvals-count")).to_have_text("0 of 2 approvals", timeout=SOON_MS)
    page.get_by_test_id("open-review-policy").click()
    expect(page.get_by_test_id("dialog-read-only")).to_contain_text("policy:update")
    expect(page.get_by_test_id("dialog-submit")).to_have_count(0)
    eva.see("policy-read-only")
    page.get_by_test_id("dialog-cancel").click()

    elsewhere.push("notes.txt", "written elsewhere\n")
    page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabCloseIcon").last.click()
    eva.review("1")
    solves_a_conflict(eva.page, eva)

    ada.page.get_by_test_id("patch-reject").click()
    ada.page.get_by_test_id("patch-reject-reason").fill("Say it in one line.")
    ada.page.get_by_test_id("patch-reject-submit").click()
    rejected = page.get_by_test_id("patch-rejected-reason")
    expect(rejected).to_contain_text("Say it in one line.", timeout=SOON_MS)
    assert eva.api.get(f"tasks/{tasks[0]['id']}").expect(200)["status"] == "in_progress"


def uploads_a_patch(eva: Member, good: bytes) -> None:
    page = eva.page
    eva.task("1").get_by_test_id("task-upload-patch").click()
    page.get_by_test_id("field-diff").fill(addition("../outside.txt", "no"))
    page.get_by_test_id("dialog-submit").click()
    expect(page.locator("dialog")).to_contain_text("outside.txt")
    eva.see("upload-refused")
    page.get_by_test_id("field-file-diff").set_input_files(
        {"name": "a.patch", "mimeType": "text/x-diff", "buffer": good}
    )
    page.get_by_test_id("field-summary").fill("Add notes")
    page.get_by_test_id("dialog-submit").click()
    expect(page.get_by_test_id("patch-origin")).to_have_text("Uploaded")
    expect(page.get_by_test_id("patch-own")).to_be_visible()
    eva.see("uploaded")
    chosen(page, "pixels.bin")
    expect(page.get_by_test_id("diff-binary")).to_contain_text("no file before, 2.0 kB after")
    eva.see("binary")
    chosen(page, "run.sh")
    expect(page.get_by_test_id("diff-mode")).to_have_text("becomes executable (100644 → 100755)")
    eva.see("mode")


def chosen(page: Page, path: str) -> None:
    page.locator(f'[data-testid="patch-file"][data-path="{path}"]').click()
    expect(page.get_by_test_id("diff-path")).to_have_text(path)


def sets_the_policy(ada: Member) -> None:
    page = ada.page
    page.get_by_test_id("open-review-policy").click()
    page.get_by_test_id("field-protected_branches").fill("main\n../main")
    page.get_by_test_id("dialog-submit").click()
    expect(page.get_by_test_id("field-error-protected_branches")).to_contain_text("matches no branch")
    ada.see("policy-error")
    page.get_by_test_id("field-protected_branches").fill("main\nrelease/*")
    page.get_by_test_id("field-required_approvals").fill("2")
    page.get_by_test_id("dialog-submit").click()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_test_id("patch-approvals-count")).to_have_text("0 of 2 approvals")


def solves_a_conflict(page: Page, eva: Member) -> None:
    expect(page.get_by_test_id("patch-base-moved")).to_be_visible()
    page.get_by_test_id("patch-rebase").click()
    conflict = page.get_by_test_id("patch-conflict")
    expect(conflict).to_contain_text("written elsewhere")
    expect(conflict).to_contain_text("written in a patch")
    expect(page.get_by_test_id("conflicts-submit")).to_have_attribute("aria-disabled", "true")
    eva.see("conflict")
    page.get_by_test_id("conflict-take-ours").click()
    page.get_by_test_id("conflict-text").fill("written elsewhere\nwritten in a patch\n")
    page.get_by_test_id("conflicts-submit").click()
    expect(page.get_by_test_id("patch-rebased")).to_be_visible()
    expect(page.get_by_test_id("patch-revision")).to_have_text("2")
    expect(page.get_by_test_id("check-base")).to_have_attribute("data-mark", "yes")
    eva.see("rebased")
    page.get_by_test_id("diff-unified").click()
    expect(page.get_by_test_id("patch-diff").locator(".cm-insertedLine").first).to_be_visible()
    eva.see("unified")
