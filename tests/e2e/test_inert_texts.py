"""What a model wrote is shown and fetches nothing: a picture's address could carry away what the text knows."""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import Page, expect

from support.obedience import Attacker
from support.studio import CHECKOUT, TOKEN, Studio

PIXEL = base64.b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"><rect width="7" height="7"/></svg>'
).decode()


def test_a_notebook_of_planned_documents_fetches_no_picture(page: Page, studio: Studio, artifacts: Path) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    with Attacker() as attacker:
        text = (
            "# Requirements\n\n### Requirement 1: Pictures\n\n"
            f"![own](data:image/svg+xml;base64,{PIXEL})\n\n![one]({attacker.url}/CANARY-1.png)\n\n"
            f'<img src="{attacker.url}/CANARY-2.png">\n\n![three][ref]\n\n[ref]: {attacker.url}/CANARY-3.png\n\n'
            f'<video src="{attacker.url}/CANARY-4.mp4" autoplay></video>\n\n'
            f'<div style="background: url({attacker.url}/CANARY-5.png)">x</div>\n\n[link]({attacker.url}/CANARY-6)\n'
        )
        session = studio.api.session(studio.api.project(name="Pictures")["id"], title="Pictures")
        studio.api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": text}}).expect(200)
        page.goto(f"{studio.url}/lab/workspaces/inert/tree/{session['notebook_path']}?token={TOKEN}")
        cell = page.locator(".jp-Notebook .jp-MarkdownCell", has_text="Pictures").first
        expect(cell.locator("a", has_text="link")).to_be_visible(timeout=90_000)
        own = cell.locator("img[alt=own]")
        expect(own).to_be_visible()
        assert own.evaluate("image => image.naturalWidth") == 7, "a picture in the text itself is shown"
        page.wait_for_function("() => performance.getEntriesByType('resource').length > 0")
        page.screenshot(path=artifacts / "inert.png")
        assert attacker.heard == []
    assert any("CANARY-1.png" in line for line in refused), "the browser tried, and was refused"


def test_our_own_views_show_text_as_text() -> None:
    sources = [path.read_text() for path in (CHECKOUT / "labextension/src").rglob("*.ts*")]
    assert len(sources) > 40
    for word in ("innerHTML", "dangerouslySetInnerHTML", "outerHTML", "insertAdjacentHTML", "renderMarkdown"):
        assert not any(word in source for source in sources), word
