"""Reviews in JupyterLab: two people and one patch, by the keyboard, with edits, conflicts, a policy and evidence."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from devstudio_evidence import __main__ as evidence_command
from e2e.company import SEMVER, Company, Member
from e2e.person import RUN_MS
from support.example_brain import EXAMPLES
from support.studio import Api, Studio

SOON_MS = 3000
TITLE = "Precedence of versions"


def planned(api: Api) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a session of the first example with its tasks."""
    project = api.project(name=SEMVER, type="integration")
    session = api.session(project["id"], title=TITLE)
    requirements = (EXAMPLES / "semver/requirements.md").read_text()
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": requirements}}, version=1).expect(200)
    models = api.get("ai/models").expect(200)["items"]
    model = next(item["id"] for item in models if item["provider"] == "openai")
    tasks = api.post("plan", {"session_id": session["id"], "stage": "tasks", "model": model}).expect(200)["tasks"]
    return session | {"model": model, "project": project}, tasks


def test_two_people_review_a_patch_and_see_what_it_proves(company: Company, artifacts: Path) -> None:
    company.story = "review"
    eva = company.member("eva", "executor", dark=True)
    session, tasks = planned(eva.api)
    made = eva.api.post("code/generate", {"task_id": tasks[0]["id"], "model": session["model"]}).expect(201)
    eva.open_session(TITLE)
    eva.review("1")
    is_told_why_she_cannot_approve(eva)

    rui = company.member("rui", "reviewer")
    rui.open_session(TITLE)
    rui.review("1")
    reviews_with_the_keyboard(rui)
    eva_edits = types_into_the_patch(eva)
    expect(rui.page.get_by_test_id("patch-status")).to_have_attribute("data-status", "pending", timeout=SOON_MS)
    expect(rui.page.get_by_test_id("patch-revision")).to_have_text("2")
    expect(rui.page.get_by_test_id("patch-approvals")).to_contain_text("void")
    expect(rui.page.get_by_test_id("diff-path")).to_have_text(eva_edits)
    rui.see("void")
    rui.page.get_by_test_id("patch-view").press("Control+Enter")
    expect(rui.page.get_by_test_id("patch-status")).to_have_attribute("data-status", "approved")

    expect(eva.page.get_by_test_id("patch-status")).to_have_attribute("data-status", "approved", timeout=SOON_MS)
    eva.apply()
    eva.see("run")
    assert eva.api.get(f"code/patches/{made['patch_id']}").expect(200)["status"] == "applied"
    ada = company.member("ada", "admin_devstudio")
    ada.open_session(TITLE)
    takes_the_evidence_along(ada, artifacts)


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


def reviews_with_the_keyboard(rui: Member) -> None:
    page = rui.page
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
    rui.see("unified")
    page.get_by_test_id("diff-split").click()
    expect(page.get_by_test_id("diff-no-side")).to_be_visible()
    page.get_by_test_id("replay-start").click()
    expect(page.get_by_test_id("replay-result")).to_have_attribute("data-same", "true", timeout=RUN_MS)
    expect(page.get_by_test_id("replay-tree")).to_have_text("the same")
    view.press("Control+Enter")
    expect(page.get_by_test_id("patch-status")).to_have_attribute("data-status", "approved")
    expect(page.get_by_test_id("patch-approvals-count")).to_have_text("1 of 1 approval")
    expect(page.get_by_test_id("patch-withdraw")).to_be_visible()
    rui.see("approved")


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


def commit_elsewhere(studio: Studio, project: dict[str, Any], path: str, text: str) -> None:
    """Move the project's branch on, as a push from somewhere else does."""
    folder = studio.data_dir / "repositories" / project["tenant_id"] / f"{project['id']}.git"
    tree = folder.parent / f"elsewhere-{project['id']}"
    who = ["-c", "user.name=Elsewhere", "-c", "user.email=elsewhere@example.com"]
    subprocess.run(["git", "clone", "--quiet", str(folder), str(tree)], check=True)
    (tree / path).write_text(text)
    for arguments in (
        ["add", path],
        [*who, "commit", "--quiet", "-m", "Elsewhere"],
        ["push", "--quiet", "origin", "HEAD"],
    ):
        subprocess.run(["git", "-C", str(tree), *arguments], check=True)


def addition(path: str, *lines: str) -> str:
    added = "".join(f"+{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1,{len(lines)} @@\n{added}"
    )


def test_policies_uploads_and_conflicts(company: Company, team_studio: Studio) -> None:
    company.story = "policy"
    eva = company.member("eva", "executor")
    session, tasks = planned(eva.api)
    eva.open_session(TITLE)
    page = eva.page
    uploads_a_patch(eva)

    ada = company.member("ada", "admin_devstudio", dark=True)
    ada.open_session(TITLE)
    ada.review("1")
    sets_the_policy(ada)
    expect(page.get_by_test_id("patch-approvals-count")).to_have_text("0 of 2 approvals", timeout=SOON_MS)
    page.get_by_test_id("open-review-policy").click()
    expect(page.get_by_test_id("dialog-read-only")).to_contain_text("policy:update")
    expect(page.get_by_test_id("dialog-submit")).to_have_count(0)
    eva.see("policy-read-only")
    page.get_by_test_id("dialog-cancel").click()

    commit_elsewhere(team_studio, session["project"], "notes.txt", "written elsewhere\n")
    page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabCloseIcon").last.click()
    eva.review("1")
    solves_a_conflict(eva.page, eva)

    ada.page.get_by_test_id("patch-reject").click()
    ada.page.get_by_test_id("patch-reject-reason").fill("Say it in one line.")
    ada.page.get_by_test_id("patch-reject-submit").click()
    rejected = page.get_by_test_id("patch-rejected-reason")
    expect(rejected).to_contain_text("Say it in one line.", timeout=SOON_MS)
    assert eva.api.get(f"tasks/{tasks[0]['id']}").expect(200)["status"] == "in_progress"


def uploads_a_patch(eva: Member) -> None:
    page = eva.page
    eva.task("1").get_by_test_id("task-upload-patch").click()
    page.get_by_test_id("field-diff").fill(addition("../outside.txt", "no"))
    page.get_by_test_id("dialog-submit").click()
    expect(page.locator("dialog")).to_contain_text("outside.txt")
    eva.see("upload-refused")
    good = addition("notes.txt", "written in a patch", "and more").encode()
    page.get_by_test_id("field-file-diff").set_input_files(
        {"name": "a.patch", "mimeType": "text/x-diff", "buffer": good}
    )
    page.get_by_test_id("field-summary").fill("Add notes")
    page.get_by_test_id("dialog-submit").click()
    expect(page.get_by_test_id("patch-origin")).to_have_text("Uploaded")
    expect(page.get_by_test_id("patch-own")).to_be_visible()
    eva.see("uploaded")


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
