"""A team in JupyterLab: who asks for a patch and who approves it are two people, and another tenant sees none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import jwt
import pytest
from playwright.sync_api import Locator, Page, expect

from devstudio_server.kit.ids import new_id
from e2e.person import Person
from support.example_brain import EXAMPLES
from support.studio import Api, Studio
from support.team import Team

SOON_MS = 2000
"""How soon a person sees what another one did, without a reload."""
THEMES = "lab/api/settings/@jupyterlab/apputils-extension:themes"
SEMVER = "Semantic versions"
OpenPage = Callable[..., Page]


class Member(Person):
    """A person of a team, in a browser of their own, who knows their token outside of it."""

    api: Api

    def sign_in(self, url: str) -> None:
        """Open the address with the launch code; then nothing of it is left where scripts or people see it."""
        launch = self.api.post("auth/launch-codes", {}).expect(201)
        self.open(url + launch["url"])
        assert urlsplit(self.page.url).query == ""
        assert urlsplit(self.page.url).path.startswith("/lab")
        cookies = {cookie["name"]: cookie for cookie in self.page.context.cookies()}
        secret = [cookie for cookie in cookies.values() if cookie["name"] != "_xsrf"]
        assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in secret] == [(True, "Lax")]
        readable = self.page.evaluate(
            "() => document.cookie + document.documentElement.outerHTML + location.href"
            " + JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.referrer"
        )
        for hidden in (launch["code"], str(self.api.token), str(secret[0]["value"])):
            assert hidden not in readable

    def is_shown_as(self, name: str, role: str, tenant: UUID) -> None:
        expect(self.page.get_by_test_id("identity-name")).to_have_text(name)
        expect(self.page.get_by_test_id("identity-role")).to_have_text(role)
        expect(self.page.get_by_test_id("identity-tenant")).to_contain_text(str(tenant)[-6:])

    def lacks(self, testid: str, permission: str) -> None:
        """See a button that is there, cannot be pressed, and says what is missing."""
        button = self.page.get_by_test_id(testid).first
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("title", f"Needs the permission {permission}; ask an administrator")

    def open_session(self, title: str) -> None:
        """Find the session in the panel and open it."""
        session = self.page.get_by_test_id("session-item").filter(has_text=title)
        if not session.count():
            self.page.get_by_test_id("project-item").filter(has_text=SEMVER).click()
        session.click()
        expect(self.page.get_by_test_id("session-view")).to_be_visible()

    def in_palette(self, label: str) -> Locator:
        """Open the palette on a command."""
        self.page.keyboard.press("Control+Shift+C")
        self.page.locator(".lm-CommandPalette-input").fill(label)
        return self.page.locator(".lm-CommandPalette-item", has_text=label).first


@dataclass
class Company:
    """A tenant on the server of the team."""

    server: Studio
    team: Team
    open_page: OpenPage
    artifacts: Path
    clients: ExitStack
    tenant: UUID = field(default_factory=new_id)
    story: str = "team"
    """How the names of its screenshots begin."""

    def api(self, name: str, role: str, **claims: str) -> Api:
        """Return a client of the API as a person of this tenant."""
        token = self.team.token(self.tenant, user=name, roles=(role,), **claims)
        return self.clients.enter_context(Api(self.server.url, token, "Bearer"))

    def member(self, name: str, role: str, *, dark: bool = False, width: int = 1600) -> Member:
        """Return a person with a browser."""
        person = Member(self.open_page(width=width), self.artifacts, f"{self.story}-{name}")
        person.api = self.api(name, role)
        if dark:
            theme = {"raw": '{"theme": "JupyterLab Dark"}'}
            person.api.send("PUT", f"{self.server.url}/{THEMES}", json=theme).expect(204)
        person.sign_in(self.server.url)
        return person


@pytest.fixture
def company(team_studio: Studio, team: Team, open_page: OpenPage, artifacts: Path) -> Iterator[Company]:
    with ExitStack() as clients:
        yield Company(team_studio, team, open_page, artifacts, clients)


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
    expect(page.get_by_test_id("patch-approve")).to_have_count(0)
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
