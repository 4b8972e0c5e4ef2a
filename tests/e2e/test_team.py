"""A team in JupyterLab: who asks for a patch and who approves it are two people, and another tenant sees none of it."""

from __future__ import annotations

from dataclasses import replace

import httpx
import jwt
from playwright.sync_api import expect

from devstudio_server.kit.ids import new_id
from e2e.company import SEMVER, Company, Member
from support.example_brain import EXAMPLES
from support.studio import Api, Studio

SOON_MS = 2000
"""How soon a person sees what another one did, without a reload."""


def test_two_people_bring_a_task_to_done(company: Company, team_studio: Studio) -> None:
    title = "Precedence of versions"
    eva = company.member("eva", "executor")
    eva.is_shown_as("Eva", "executor", company.tenant)
    eva.new_project(SEMVER, "integration", "python")
    eva.new_session(SEMVER, title)
    eva.write_requirements((EXAMPLES / "semver/requirements.md").read_text())
    models = eva.api.get("ai/models").expect(200)["items"]
    eva.plan("tasks", next(item["id"] for item in models if item["provider"] == "openai"), "")
    eva.generate("1")
    eva.review("1")
    page = eva.page
    expect(page.get_by_test_id("patch-own")).to_contain_text("someone else has to approve it")
    expect(page.get_by_test_id("patch-author")).to_have_text("you")
    expect(page.get_by_test_id("patch-approve")).to_have_attribute("aria-disabled", "true")
    eva.lacks("patch-reject", "code:approve")
    page.get_by_test_id("patch-view").press("Control+Enter")
    expect(page.get_by_test_id("error-box")).to_have_count(0)
    expect(page.get_by_test_id("patch-status")).to_have_attribute("data-status", "pending")

    vera = company.member("vera", "viewer", dark=True)
    sees_everything_and_changes_nothing(vera, company, title)

    rui = company.member("rui", "reviewer", width=1280)
    rui.is_shown_as("Rui", "reviewer", company.tenant)
    rui.open_session(title)
    rui.lacks("plan-submit", "spec:update")
    rui.review("1")
    expect(rui.page.get_by_test_id("patch-author")).to_have_text("a colleague")
    rui.approve()
    expect(rui.page.get_by_test_id("patch-approvals")).to_contain_text("Approved by Rui")
    expect(rui.page.get_by_test_id("patch-approvals")).not_to_contain_text("elf-reviewed")
    rui.lacks("patch-apply", "code:apply")
    rui.see("approved")
    for colleague in (eva, vera):
        status = colleague.page.get_by_test_id("patch-status")
        expect(status).to_have_attribute("data-status", "approved", timeout=SOON_MS)

    rui.page.get_by_test_id("open-session").click()
    eva.see("approved-by-rui")
    eva.apply()
    eva.see("run")
    done = rui.task("1")
    expect(done).to_have_attribute("data-task-status", "done", timeout=SOON_MS)
    expect(done.get_by_test_id("task-evidence")).to_be_visible()
    rui.see("done")
    eva.close_tabs_but_session(title)
    expect(eva.task("1")).to_have_attribute("data-task-status", "done")

    sees_nothing(replace(company, tenant=new_id()).member("otto", "executor"))
    signs_out(eva, team_studio)


def sees_everything_and_changes_nothing(vera: Member, company: Company, title: str) -> None:
    page = vera.page
    vera.is_shown_as("Vera", "viewer", company.tenant)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", "JupyterLab Dark")
    for button in ("new-project", "new-session"):
        expect(page.get_by_test_id(button)).to_have_attribute("aria-disabled", "true")
    page.locator(".jp-LauncherCard", has_text="New project").click()
    expect(page.locator(".Toastify__toast", has_text="Needs the permission spec:create")).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)
    vera.see("launcher-refused")
    vera.open_session(title)
    vera.lacks("doc-save", "spec:update")
    vera.lacks("plan-submit", "spec:update")
    editor = page.get_by_test_id("doc-editor")
    expect(editor).to_contain_text("Acceptance Criteria")
    editor.press("x")
    expect(page.get_by_test_id("doc-state")).to_contain_text("Saved")
    vera.see("session")
    page.get_by_test_id("open-notebook").click()
    expect(page.locator(".jp-NotebookPanel-toolbar")).to_contain_text("is read-only")
    page.locator(".lm-TabBar-tab", has_text=title).click()
    vera.review("1")
    for button, permission in (
        ("patch-approve", "code:approve"),
        ("patch-reject", "code:approve"),
        ("patch-apply", "code:apply"),
    ):
        vera.lacks(button, permission)
    page.get_by_test_id("patch-approve").click(force=True)
    page.get_by_test_id("patch-view").press("Control+Enter")
    expect(page.get_by_test_id("patch-status")).to_have_attribute("data-status", "pending")
    for label in ("New Project", "Generate Code", "Approve Patch", "Apply and Test"):
        expect(vera.in_palette(label)).to_have_class("lm-CommandPalette-item lm-mod-disabled", timeout=5000)
        page.keyboard.press("Escape")


def sees_nothing(otto: Member) -> None:
    page = otto.page
    expect(page.get_by_test_id("empty-new-project")).to_be_visible()
    expect(page.get_by_test_id("project-item")).to_have_count(0)
    otto.see("panel")
    page.locator(".lm-TabBar-tab[data-id='filebrowser']").click()
    expect(page.locator(".jp-DirListing-content")).to_be_visible()
    expect(page.locator(".jp-DirListing-item")).to_have_count(0)
    otto.see("files")


def test_an_ended_sign_in_is_told_once_and_keeps_what_was_typed(company: Company, team_studio: Studio) -> None:
    company = replace(company, story="ended")
    eva, rui = company.member("eva", "executor"), company.member("rui", "reviewer")
    session = eva.api.session(eva.api.project(name=SEMVER)["id"], title="Written by Eva")
    for person in (eva, rui):
        person.open_session("Written by Eva")
    page, readers = eva.page, rui.page.get_by_test_id("doc-editor")
    eva.write_requirements("# Requirements\n\nFirst.")
    expect(readers).to_contain_text("First.", timeout=SOON_MS)

    page.get_by_test_id("doc-editor").fill("# Requirements\n\nSecond.")
    token_id = jwt.decode(str(eva.api.token), options={"verify_signature": False})["jti"]
    ended = company.api("ada", "admin_devstudio").post("auth/revocations", {"token_id": token_id}).expect(201)
    assert ended["sign_ins_ended"] == 1
    page.get_by_test_id("doc-save").click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("You were signed out")
    eva.see("signed-out")
    page.get_by_test_id("panel-refresh").dispatch_event("click")
    page.wait_for_timeout(3000)  # whatever else asks the server in the meantime adds no second dialog
    expect(dialog).to_have_count(1)
    expect(page.get_by_test_id("error-box")).to_have_count(0)
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("You are still signed out")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_test_id("doc-editor")).to_contain_text("Second.")
    page.get_by_test_id("sign-in-again").last.click()
    expect(dialog).to_contain_text("You are still signed out")
    dialog.get_by_role("button", name="Close").click()
    eva.see("draft-kept")

    eva.api = company.api("eva", "executor")
    elsewhere = page.context.new_page()
    elsewhere.goto(team_studio.url + eva.api.post("auth/launch-codes", {}).expect(201)["url"])
    elsewhere.close()
    page.get_by_test_id("panel-refresh").click()  # any request that is answered tells the page
    expect(page.get_by_test_id("sign-out")).to_be_visible()
    expect(dialog).to_have_count(0)
    expect(page.get_by_test_id("signed-out")).to_have_count(0)
    expect(page.get_by_test_id("doc-editor")).to_contain_text("Second.")
    page.get_by_test_id("doc-save").click()
    expect(readers).to_contain_text("Second.", timeout=SOON_MS)
    eva.see("signed-in-again")

    counts_a_limit_down(eva, session["id"])
    is_not_shown_to(replace(company, tenant=new_id()).api("otto", "executor"), eva, team_studio)


def counts_a_limit_down(eva: Member, session_id: str) -> None:
    plan = {"session_id": session_id, "stage": "design", "model": "offline"}
    while eva.api.post("plan", plan).status != 429:
        pass
    eva.page.get_by_test_id("plan-submit").click()
    expect(eva.page.get_by_test_id("error-wait")).to_contain_text("left")
    expect(eva.page.get_by_test_id("error-retry")).to_have_attribute("aria-disabled", "true")
    eva.see("limit")


def is_not_shown_to(otto: Api, eva: Member, team_studio: Studio) -> None:
    """Otto, of another tenant, signs in in another tab of the same browser; then somebody comes back to Eva's tab."""
    page = eva.page
    elsewhere = page.context.new_page()
    elsewhere.goto(team_studio.url + otto.post("auth/launch-codes", {}).expect(201)["url"])
    elsewhere.close()
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")  # a headless browser has no window to come back to
    expect(page.get_by_test_id("identity-name")).to_have_text("Otto", timeout=30_000)
    expect(page.get_by_test_id("empty-new-project")).to_be_visible()
    expect(page.get_by_test_id("session-view")).to_have_count(0)
    eva.see("now-otto")


def signs_out(eva: Member, team_studio: Studio) -> None:
    page = eva.page
    jar = {str(cookie["name"]): str(cookie["value"]) for cookie in page.context.cookies()}
    assert httpx.get(f"{team_studio.url}/api/v1/me", cookies=jar, trust_env=False).status_code == 200
    page.get_by_test_id("sign-out").click()
    expect(page.locator("body")).to_contain_text("igned out")
    eva.see("signed-out")
    assert httpx.get(f"{team_studio.url}/api/v1/me", cookies=jar, trust_env=False).status_code == 401
    assert page.request.get(f"{team_studio.url}/api/v1/me").status == 401
    page.goto(f"{team_studio.url}/lab")
    expect(page.locator("body")).to_contain_text("Sign in where you came from")
