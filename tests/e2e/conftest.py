"""A browser, and the studio of a fresh clone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from e2e.company import Company
from support.checkout import MakeRun
from support.model_environment import model_environment
from support.model_server import ModelServer
from support.studio import Studio
from support.team import Team

CHROMIUM_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)

expect.set_options(timeout=20_000)
"""A busy machine needs longer than the usual 5 s to load an editor; what has to be quick says so itself."""


@pytest.fixture(scope="session")
def fresh_studio(fresh_checkout: Path, model_server: ModelServer) -> Iterator[MakeRun]:
    """`make run` in the clone, with an empty HOME and both model protocols."""
    with MakeRun(fresh_checkout, fresh_checkout.parent / "home", model_environment(model_server)) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Its event loop is this thread's, so it must end before tests that run one of their own."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM_FLAGS))
        yield launched
        launched.close()


@contextmanager
def clean_page(browser: Browser, width: int = 1600, height: int = 1000) -> Iterator[Page]:
    """Open a page of a new person, whose console must stay free of errors."""
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield opened
    finally:
        context.close()
    assert errors == []


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a new person."""
    with clean_page(browser) as opened:
        yield opened


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of as many people as a test needs, each with cookies of their own."""
    with ExitStack() as pages:
        yield lambda **size: pages.enter_context(clean_page(browser, **size))


@pytest.fixture
def company(team_studio: Studio, team: Team, open_page: Callable[..., Page], artifacts: Path) -> Iterator[Company]:
    with ExitStack() as clients:
        yield Company(team_studio, team, open_page, artifacts, clients)
