"""Two writers at once, for many rounds: what either wrote, and did not take back, is kept somewhere."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from devstudio_server.specs.models import Spec, SyncConflict
from devstudio_server.specs.place_sync import PlaceSync
from devstudio_server.specs.places import Place
from devstudio_server.specs.schemas import SpecSessionRead
from devstudio_server.specs.watching import Pace, SpecWatcher
from support.domain_world import REQUIREMENTS, DomainWorld

ROUNDS = {"small": 15, "full": 60}
TASKS = "# Tasks\n" + "".join(f"- [ ] {number}. Task number {number}\n  - details\n" for number in range(1, 7))


class Writer(threading.Thread):
    """Writes a word of its own into one task after another, from what it sees at that moment."""

    def __init__(self, name: str, rounds: int, seed: int) -> None:
        super().__init__(name=name)
        self.words: list[str] = []
        self.error: Exception | None = None
        self._rounds = rounds
        self._random = random.Random(seed)
        self._pause = threading.Event()

    def run(self) -> None:
        try:
            for number in range(self._rounds):
                word = f"{self.name}{number:04d}"
                self.write(word, self._random.randint(1, 6))
                self.words.append(word)
                self._pause.wait(self._random.uniform(0.0, 0.08))
        except Exception as error:
            self.error = error
            raise

    def write(self, word: str, task: int) -> None:
        raise NotImplementedError

    def edited(self, text: str, word: str, task: int) -> str:
        lines = text.split("\n")
        at = next((place for place, line in enumerate(lines) if f" {task}. " in line), None)
        if at is None:
            return f"{text}\n  - {word}"
        replaces = at + 1 < len(lines) and lines[at + 1].startswith("  - ") and self._random.random() < 0.5
        if replaces and (own := lines[at + 1].removeprefix("  - ")) in self.words:
            self.words.remove(own)  # taken back by who wrote it, perhaps before anybody read the file
        lines[at + 1 : at + 2 if replaces else at + 1] = [f"  - {word}"]
        return "\n".join(lines)


class Program(Writer):
    """Another program: reads the Markdown file, and puts a new one in its place."""

    def __init__(self, path: Path, rounds: int) -> None:
        super().__init__("disk", rounds, 1)
        self._path = path

    def write(self, word: str, task: int) -> None:
        new = self._path.with_suffix(".tmp")
        new.write_text(self.edited(self._path.read_text(), word, task))
        new.replace(self._path)


class Lab(Writer):
    """JupyterLab: opens the notebook, changes a cell, and saves."""

    def __init__(self, domain: DomainWorld, session: SpecSessionRead, path: Path, rounds: int) -> None:
        super().__init__("lab", rounds, 2)
        self._domain = domain
        self._session = session
        self._path = path

    def write(self, word: str, task: int) -> None:
        notebook = json.loads(self._path.read_text())
        cells = [cell for cell in notebook["cells"] if f" {task}. " in "".join(cell["source"])] or notebook["cells"][
            -1:
        ]
        cells[0]["source"] = self.edited("".join(cells[0]["source"]), word, task)
        written = self._domain.sync.save(self._domain.actor, self._session.notebook_path, notebook)
        tree = self._domain.tree(self._session.project_id)
        tree.write(
            self._session.notebook_path.removeprefix(f"{self._session.project_id}/"), json.dumps(written).encode()
        )


def test_no_word_is_lost(domain: DomainWorld, pytestconfig: pytest.Config) -> None:
    rounds = ROUNDS[str(pytestconfig.getoption("--bench-scale"))]
    session = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
    place = Place(domain.actor.tenant_id, session.project_id, session.slug)
    folder = place.folder(domain.workspaces.root)
    sync = PlaceSync(domain.units, domain.git, domain.workspaces, lambda _tenant: domain.actor)
    watcher = SpecWatcher(domain.workspaces.root, sync, pace=Pace(quiet_s=0.02, gap_s=0.05, retry_s=0.05))
    writers = [Program(folder / "tasks.md", rounds), Lab(domain, session, folder / place.names[-1], rounds)]
    watcher.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    watcher.stop()
    assert [writer.error for writer in writers] == [None, None]
    assert sync(place)
    with domain.unit(read_only=True) as unit:
        kept = [row.content for row in unit.scalars(select(Spec).where(Spec.session_id == session.id))]
        for row in unit.scalars(select(SyncConflict)):
            kept += [row.ours or "", row.theirs or "", json.dumps(row.earlier)]
    kept += [path.read_text() for path in folder.iterdir()]
    everything = "\n".join(kept)
    lost = [word for writer in writers for word in writer.words if word not in everything]
    words = sum(len(writer.words) for writer in writers)
    assert words > rounds
    assert lost == [], f"{len(lost)} of {words} words"
