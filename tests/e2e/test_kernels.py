"""A person works on "Python (sandbox)" in JupyterLab: cells, interrupt, restart, a lot of output, and a new server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.person import Person
from support.kernel_client import KernelClient, until
from support.studio import TOKEN, Studio

KERNEL = "Python (sandbox)"
BURST = 10_000_000
CELL_MS = 240_000


class Notebook:
    """A notebook that a person has open."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def cells(self) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell")

    def type(self, code: str) -> Locator:
        """Type into the last cell and run it; a new one follows."""
        cell = self.cells.last
        at = self.cells.count() - 1
        editor = cell.locator(".cm-content")
        editor.click()
        editor.fill(code)
        expect(editor).to_contain_text(code.splitlines()[0][:20])
        editor.press("Shift+Enter")
        return self.cells.nth(at)

    def run(self, code: str) -> Locator:
        """Run a cell to its end, and return its output."""
        cell = self.type(code)
        expect(cell.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=CELL_MS)
        return cell.locator(".jp-OutputArea")

    def expect_state(self, state: str) -> None:
        """Wait for what the status bar says of the kernel: `Idle`, `Busy`."""
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text(f"{KERNEL} | {state}", timeout=CELL_MS)

    def save(self) -> None:
        """Save, and see that the server took it."""
        with self.page.expect_response(
            lambda answer: answer.request.method == "PUT" and ".ipynb" in answer.url, timeout=CELL_MS
        ) as saved:
            self.page.keyboard.press("Control+S")
            # JupyterLab asks for a name before the first save of a notebook; the one that it has will do.
            self.page.locator(".jp-Dialog button.jp-mod-accept").click()
        assert saved.value.status == 200
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)


def printed_by(code: str, path: Path) -> str:
    """Return what the cell with ``code`` printed, as the notebook's file has it; nothing while it is being written."""
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
    except ValueError:
        return ""
    (cell,) = (one for one in cells if code in "".join(one["source"]))
    return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A local server; its kernels end with the test."""
    with Studio(tmp_path / "data") as server:
        yield server
        client = KernelClient(server.url, f"token {TOKEN}")
        for kernel in client.http.get("/api/kernels").json():
            client.http.delete(f"/api/kernels/{kernel['id']}")
        client.close()


def test_a_person_keeps_their_variables_over_a_restart_of_the_server(
    page: Page, studio: Studio, artifacts: Path
) -> None:
    person, notebook = Person(page, artifacts, "kernels"), Notebook(page)
    person.open(f"{studio.url}/lab?token={TOKEN}")
    page.locator(f'.jp-LauncherCard[title="{KERNEL}"]').first.click()
    expect(notebook.cells.first).to_be_visible(timeout=60_000)
    notebook.expect_state("Idle")
    expect(page.locator(".jp-KernelName, .jp-Toolbar-kernelName").first).to_contain_text(KERNEL)
    expect(notebook.run("import os; kept = 6 * 7; print(kept, os.getcwd())")).to_contain_text("42 /workspace")
    person.see("cell")

    sleeping = notebook.type("import time; time.sleep(600)")
    notebook.expect_state("Busy")
    page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    expect(sleeping.locator(".jp-OutputArea")).to_contain_text("KeyboardInterrupt", timeout=CELL_MS)
    expect(notebook.run("print('kept is', kept)")).to_contain_text("kept is 42", timeout=CELL_MS)
    person.see("interrupted")

    page.locator('[data-command="notebook:restart-kernel"]').first.click()
    page.locator(".jp-Dialog button.jp-mod-accept, .jp-Dialog button.jp-mod-warn").last.click()
    notebook.expect_state("Idle")
    expect(notebook.run("print('kept' in globals())")).to_contain_text("False", timeout=CELL_MS)
    person.see("restarted")

    expect(notebook.run("kept = 'after the burst'")).to_be_attached()
    notebook.run(f"for number in range({BURST // 1000}): print(f'{{number:06d}}' + 'x' * 993)")
    notebook.expect_state("Idle")
    notebook.save()
    person.see("burst")
    whole = "".join(f"{number:06d}{'x' * 993}\n" for number in range(BURST // 1000))
    path = next(studio.data_dir.glob("workspaces/*/Untitled.ipynb"))
    until(lambda: printed_by("range(", path) == whole, "a saved notebook with every byte of the burst")

    studio.stop()
    studio.start()
    # The notebook finds its kernel again by itself; the person only closes what JupyterLab told of the server.
    notebook.expect_state("Idle")
    person.see("back")
    away = page.locator(".jp-Dialog", has_text="Server Connection Error")
    if away.count():
        away.locator(".jp-Dialog-footer button", has_text="Close").click()
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    expect(notebook.run("print('still:', kept)")).to_contain_text("still: after the burst", timeout=CELL_MS)
    person.see("after-the-servers-restart")
