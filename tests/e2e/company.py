"""People of a team in JupyterLab, each in a browser of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from playwright.sync_api import Locator, Page, expect

from devstudio_server.kit.ids import new_id
from e2e.person import Person
from support.studio import Api, Studio
from support.team import Team

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
