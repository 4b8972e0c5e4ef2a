"""Runs by clicking in JupyterLab: live log, failures that open the file, artifacts, cancel, a long log, leases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.person import RUN_MS, Person
from support.commits import commit_files
from support.studio import TOKEN, Studio

BROKEN = "def add(a, b):\n    return a - b\n"
FIXED = "def add(a, b):\n    return a + b\n"
FAILING_LINE = 15
SLOW_TEST = "import time\n\n\ndef test_waits():\n    time.sleep(4)\n"
TEST = (
    "import sys\nfrom pathlib import Path\n\nfrom calc import add\n\n\n"
    "def test_leaves_a_file():\n    Path('dist').mkdir()\n    Path('dist/report.txt').write_text('what was found')\n"
    "    print('\\x1b[31mred words\\x1b[0m')\n    print('to stderr', file=sys.stderr)\n\n\n"
    f"def test_adds():\n    assert add(1, 2) == 3  # line {FAILING_LINE}\n"
)
MANY = "for n in range(200_000): print('line', n, 'x' * 60)"


class Runner(Person):
    """A person who looks at runs."""

    def open_runs(self, name: str) -> None:
        self.page.get_by_test_id("project-item").filter(has_text=name).get_by_test_id("project-runs").click()
        expect(self.page.get_by_test_id("runs-view")).to_be_visible()

    def back_to_runs(self) -> None:
        self.page.locator(".lm-TabBar-tab", has_text="Runs:").first.click()
        expect(self.page.get_by_test_id("runs-view")).to_be_visible()

    @property
    def run(self) -> Locator:
        """The run in front."""
        return self.page.get_by_test_id("run-view").locator("visible=true")

    def start(self, button: str) -> None:
        """Press a button that starts a run, and see the run."""
        before = self.page.get_by_test_id("run-view").count()
        self.page.get_by_test_id(button).locator("visible=true").first.click()
        expect(self.page.get_by_test_id("run-view")).to_have_count(before + 1)

    def run_command(self, command: str) -> None:
        before = self.page.get_by_test_id("run-view").count()
        self.page.get_by_test_id("runs-command").click()
        self.page.get_by_test_id("field-command").fill(command)
        self.page.get_by_test_id("dialog-submit").click()
        expect(self.page.get_by_test_id("run-view")).to_have_count(before + 1)

    def ends(self, status: str) -> None:
        expect(self.run.get_by_test_id("run-status")).to_have_attribute("data-status", status, timeout=RUN_MS)


@pytest.fixture
def project(studio: Studio) -> str:
    """A project with a failing test, whose files are in git and in the person's folder."""
    made = studio.api.project(name="Sums")
    files = {"src/calc.py": BROKEN, "tests/test_calc.py": TEST, "tests/test_a_slow.py": SLOW_TEST}
    commit_files(studio, made["id"], files)
    with httpx.Client(base_url=f"{studio.url}/api/contents/", headers={"Authorization": f"token {TOKEN}"}) as contents:
        for folder in ("src", "tests"):
            contents.put(f"{made['path']}/{folder}", json={"type": "directory"}).raise_for_status()
        for path, text in files.items():
            body = {"type": "file", "format": "text", "content": text}
            contents.put(f"{made['path']}/{path}", json=body).raise_for_status()
    return str(made["id"])


@pytest.fixture
def runner(page: Page, artifacts: Path, studio: Studio, project: str) -> Iterator[Runner]:
    person = Runner(page, artifacts, "runs")
    page.goto(f"{studio.url}/lab/workspaces/runs-{project}?token={TOKEN}")
    expect(page.locator(f'[data-project-id="{project}"]')).to_be_visible(timeout=60_000)
    page.locator(f'[data-project-id="{project}"]').get_by_test_id("project-runs").click()
    expect(page.get_by_test_id("runs-view")).to_be_visible()
    yield person
    for run in studio.api.get("exec", project_id=project).expect(200)["items"]:
        if run["finished_at"] is None:
            studio.api.post(f"exec/{run['id']}/cancel", {}).expect(200)


def test_a_failure_opens_its_line_and_the_fix_passes(
    page: Page, runner: Runner, studio: Studio, project: str, tmp_path: Path
) -> None:
    expect(page.get_by_test_id("empty-run-tests")).to_be_visible()
    runner.see("empty")
    runner.start("runs-test")
    # Live: output is there while the run goes on, and so is the run in the panel.
    page.wait_for_function(
        """() => document.querySelector('[data-testid="run-log"]')?.textContent.includes('collected')
             && document.querySelector('[data-testid="run-view"]').dataset.runStatus === 'running'
             && document.querySelector('[data-testid="run-left"]') !== null
             && document.querySelector('[data-testid="active-run"]') !== null""",
        timeout=RUN_MS,
    )
    runner.see("live")
    runner.ends("failed")
    expect(page.get_by_test_id("active-runs")).to_have_count(0)
    failure = runner.run.get_by_test_id("run-failure")
    expect(failure).to_contain_text(f"tests/test_calc.py:{FAILING_LINE}")
    expect(runner.run.get_by_test_id("run-log").locator(".devstudio-fg-1")).to_have_text("red words")
    expect(runner.run.locator('[data-stream="system"]').first).to_be_visible()

    runner.run.get_by_test_id("log-times").check()
    expect(runner.run.locator(".devstudio-LogRow time").first).to_be_visible()
    runner.run.get_by_test_id("log-first-error").click()
    expect(runner.run.locator(".devstudio-LogRow.devstudio-mod-current")).to_be_visible()
    runner.run.get_by_test_id("run-log").press("/")
    page.keyboard.type("assert")
    expect(runner.run.get_by_test_id("log-matches")).to_contain_text("line")
    page.keyboard.press("Enter")
    expect(runner.run.get_by_test_id("log-matches")).to_contain_text("1 of ")
    expect(runner.run.locator(".devstudio-mod-current mark").first).to_be_visible()
    runner.see("failed")

    failure.get_by_test_id("open-at-line").click()
    expect(page.locator(".jp-StatusBar-Item", has_text=f"Ln {FAILING_LINE}, Col 1")).to_be_visible()
    expect(page.locator(".cm-content:visible", has_text=f"# line {FAILING_LINE}").first).to_be_visible()
    runner.see("file-at-line")

    commit_files(studio, project, {"src/calc.py": FIXED})
    runner.back_to_runs()
    runner.start("runs-test")
    runner.ends("success")
    expect(runner.run.get_by_test_id("run-tests")).to_contain_text("3 of 3 tests passed")
    expect(runner.run.get_by_test_id("run-coverage")).to_contain_text("% covered")
    with page.expect_download() as downloading:
        runner.run.get_by_test_id("artifact-download").click()
    downloading.value.save_as(tmp_path / "report.txt")
    assert (tmp_path / "report.txt").read_text() == "what was found"
    with page.expect_download() as downloading:
        runner.run.get_by_test_id("log-download").click()
    downloading.value.save_as(tmp_path / "run.log")
    assert "red words" in (tmp_path / "run.log").read_text()
    runner.see("passed")

    runner.start("run-rerun")
    runner.ends("success")
    runner.back_to_runs()
    expect(page.locator('[data-testid="run-row"][data-run-status="success"]')).to_have_count(2)
    expect(page.locator('[data-testid="run-row"][data-run-status="failed"]')).to_have_count(1)
    runner.see("list")


def test_a_run_is_cancelled_and_says_so(page: Page, runner: Runner) -> None:
    runner.run_command("python3 -c \"import time; print('begun', flush=True); time.sleep(600)\"")
    expect(runner.run.get_by_test_id("run-log")).to_contain_text("begun", timeout=RUN_MS)
    runner.run.get_by_test_id("run-cancel").click()
    runner.ends("cancelled")
    expect(runner.run.get_by_test_id("run-reason")).not_to_be_empty()
    runner.see("cancelled")


def test_a_log_of_megabytes_stays_light(page: Page, runner: Runner) -> None:
    runner.run_command(f'python3 -c "{MANY}"')
    log = runner.run.get_by_test_id("run-log")
    expect(log).to_contain_text("line 199999", timeout=RUN_MS)
    runner.ends("success")
    assert runner.run.locator(".devstudio-LogRow").count() < 400
    log.press("Home")
    expect(log).to_contain_text("line 0 ")
    expect(runner.run.get_by_test_id("run-follow")).to_be_visible()
    runner.run.get_by_test_id("log-search").fill("line 123456 ")
    runner.run.get_by_test_id("log-search").press("Enter")
    expect(runner.run.get_by_test_id("log-matches")).to_have_text("1 of 1")
    expect(runner.run.locator(".devstudio-mod-current")).to_contain_text("line 123456 ")
    runner.see("megabytes")
    runner.run.get_by_test_id("run-follow").click()
    expect(log).to_contain_text("line 199999")


def test_the_network_is_asked_for_and_approved(page: Page, runner: Runner) -> None:
    runner.run_command("python3 -c \"print('hello')\"")
    runner.ends("success")
    leases = runner.run.get_by_test_id("run-leases")
    leases.locator("summary").click()
    leases.get_by_test_id("lease-ask").click()
    page.get_by_test_id("field-domains").fill("pypi.org\nfiles.pythonhosted.org")
    page.get_by_test_id("field-reason").fill("Packages of the tests")
    page.get_by_test_id("dialog-submit").click()
    lease = leases.get_by_test_id("lease")
    expect(lease).to_have_attribute("data-status", "requested")
    runner.see("lease")
    lease.get_by_test_id("lease-approve").click()
    expect(lease).to_have_attribute("data-status", "approved")
    expect(lease).to_contain_text("files.pythonhosted.org, pypi.org")
    # As at 200 % on a small screen: everything can still be reached.
    page.set_viewport_size({"width": 800, "height": 500})
    expect(runner.run.get_by_test_id("run-rerun")).to_be_visible()
    runner.run.get_by_test_id("run-log").scroll_into_view_if_needed()
    expect(runner.run.get_by_test_id("run-log")).to_be_visible()
    runner.see("small")
