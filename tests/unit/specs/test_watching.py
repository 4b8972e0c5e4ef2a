"""Watching the files of sessions: what other programs do is noticed once it is at rest, and nothing ends the thread."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from devstudio_server.kit.ids import new_id
from devstudio_server.specs.places import Place, folders_of_sessions, place_of
from devstudio_server.specs.watching import Pace, SpecWatcher
from support.studio import CHECKOUT

FAST = Pace(quiet_s=0.15, gap_s=0.6, look_s=30.0, poll_s=0.2, retry_s=0.2)
WAIT_S = 20.0


@dataclass
class Seen:
    """What a session's files held each time that the watcher had it synced."""

    root: Path
    texts: list[tuple[Place, dict[str, str]]] = field(default_factory=list)
    told: threading.Condition = field(default_factory=threading.Condition)
    failures: int = 0

    def __call__(self, place: Place) -> bool:
        with self.told:
            if self.failures:
                self.failures -= 1
                message = "the database is away"
                raise RuntimeError(message)
            folder = place.folder(self.root)
            self.texts.append((place, {path.name: path.read_text() for path in sorted(folder.glob("*.md"))}))
            self.told.notify_all()
            return True

    def wait(self, done: Callable[[], bool]) -> None:
        with self.told:
            assert self.told.wait_for(done, WAIT_S), self.texts

    def of(self, place: Place, name: str) -> list[str]:
        return [texts.get(name, "(gone)") for synced, texts in self.texts if synced == place]

    def until(self, place: Place, text: str, name: str = "design.md") -> None:
        self.wait(lambda: self.of(place, name)[-1:] == [text])


@dataclass
class Workspaces:
    """Folders of sessions below a root."""

    root: Path
    tenant: UUID = field(default_factory=new_id)
    project: UUID = field(default_factory=new_id)

    def place(self, slug: str) -> Place:
        return Place(self.tenant, self.project, slug)

    def make(self, slug: str, text: str = "before") -> Place:
        place = self.place(slug)
        place.folder(self.root).mkdir(parents=True)
        for name in place.names:
            (place.folder(self.root) / name).write_text(text)
        return place

    def file(self, place: Place, name: str = "design.md") -> Path:
        return place.folder(self.root) / name


@pytest.fixture
def world(tmp_path: Path) -> Workspaces:
    root = tmp_path / "workspaces"
    root.mkdir()
    return Workspaces(root)


@contextmanager
def watching(world: Workspaces, *, polling: bool = False, pace: Pace = FAST) -> Iterator[Seen]:
    seen = Seen(world.root)
    watcher = SpecWatcher(world.root, seen, polling=polling, pace=pace)
    watcher.start()
    try:
        yield seen
    finally:
        watcher.stop()
        assert not watcher.alive()


@pytest.mark.parametrize("polling", [False, True])
def test_edits_of_other_programs_are_noticed(world: Workspaces, *, polling: bool) -> None:
    place, other = world.make("first"), world.make("second")
    with watching(world, polling=polling) as seen:
        seen.until(place, "before")  # what changed while nobody watched
        seen.until(other, "before")
        world.file(place).write_text("written over")
        seen.until(place, "written over")
        # As vim saves: the old file is renamed away, and a new one takes its name.
        file = world.file(place)
        file.rename(file.with_name("design.md~"))
        file.write_text("renamed on save")
        file.with_name("design.md~").unlink()
        seen.until(place, "renamed on save")
        file.with_name("new").write_text("put in its place")
        file.with_name("new").replace(file)
        seen.until(place, "put in its place")
        later = world.make("made-later", "here")
        seen.until(later, "here")
        world.file(later).unlink()
        seen.until(later, "(gone)")
        assert "(gone)" not in seen.of(place, "design.md")  # the moment of the rename is no deletion
        assert seen.of(other, "design.md") == ["before"]


def test_a_burst_is_read_once_and_a_half_written_file_not_at_all(world: Workspaces) -> None:
    place = world.make("first")
    with watching(world) as seen:
        seen.until(place, "before")
        with world.file(place).open("w") as file:
            for number in range(12):
                file.write(f"line {number}\n")
                file.flush()
                os.utime(world.file(place))
                threading.Event().wait(0.05)
        seen.wait(lambda: "line 11" in seen.of(place, "design.md")[-1])
        assert len(seen.of(place, "design.md")) == 2


def test_a_checkout_of_many_sessions_and_of_thousands_of_other_files(world: Workspaces) -> None:
    places = [world.make(f"session-{number}") for number in range(30)]
    tree = world.root / str(world.tenant) / str(world.project)
    with watching(world) as seen:
        seen.wait(lambda: len(seen.texts) == len(places))
        shutil.rmtree(tree / ".devstudio")
        for number in range(3000):
            (tree / f"module_{number}.py").write_text("x = 1\n")
        places = [world.make(f"session-{number}", "checked out") for number in range(30)]
        seen.wait(lambda: all(seen.of(place, "design.md")[-1:] == ["checked out"] for place in places))
        # The watches on the old folders went with them; those on the new ones work.
        world.file(places[7]).write_text("after the checkout")
        seen.until(places[7], "after the checkout")


def test_what_goes_wrong_with_a_session_is_tried_again_and_ends_nothing(world: Workspaces) -> None:
    place = world.make("first")
    with watching(world) as seen:
        seen.until(place, "before")
        seen.failures = 2
        world.file(place).write_text("stored in the end")
        seen.until(place, "stored in the end")
        world.file(place).write_text("and again")
        seen.until(place, "and again")


LIMITED = """
import sys, threading
from pathlib import Path
from devstudio_server.specs.watching import Pace, SpecWatcher
synced = []
again = threading.Event()
root = Path(sys.argv[1])
def sync(place):
    synced.append((place.folder(root) / "design.md").read_text())
    if len(synced) == 1:
        (place.folder(root) / "design.md").write_text("found by looking")
    else:
        again.set()
    return True
watcher = SpecWatcher(root, sync, pace=Pace(quiet_s=0.1, poll_s=0.2))
watcher.start()
assert again.wait(20)
print(watcher.limited, synced, watcher.state)
watcher.stop()
"""


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_where_the_system_watches_no_more_files_are_looked_at_instead(world: Workspaces, limit: str) -> None:
    world.make("first")
    # The kernel's own limit, set for a user namespace of the test's: others of this machine go on.
    lower = f'echo 0 > /proc/sys/user/{limit} && exec "$@"'
    command = ["unshare", "-Ur", "sh", "-c", lower, "sh", sys.executable, "-c", LIMITED, str(world.root)]
    paths = os.pathsep.join(str(CHECKOUT / folder) for folder in ("", "sandbox", "kernels", "evidence"))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "True ['before', 'found by looking'] 1 sessions' files are looked at every 0.2 s, because" in done.stdout
    assert "watching_by_polling" in done.stdout + done.stderr


def test_only_names_that_the_server_gives_lead_to_a_session(world: Workspaces, tmp_path: Path) -> None:
    place = world.make("first")
    folder = place.folder(world.root)
    assert [place_of(world.root, str(folder / name)) for name in place.names] == [place] * 4
    assert place_of(world.root, str(folder)) == place
    tenant, project = str(world.tenant), str(world.project)
    for path in (
        folder / "notes.md",
        folder / "design.md~",
        folder / ".design.md.swp",
        folder / "requirements.edited-20260101T000000000000.md",
        folder / "second.ipynb",
        folder / "deeper" / "design.md",
        world.root / tenant / project / "design.md",
        world.root / tenant.upper() / project / ".devstudio" / "specs" / "first",
        world.root / tenant / "../other" / ".devstudio" / "specs" / "first",
        world.root / tenant / project / ".devstudio" / "specs" / "Not A Slug",
        world.root / tenant / project / ".devstudio" / "specs" / ("a" * 81),
        world.root / "shared" / project / ".devstudio" / "specs" / "first",
        tmp_path / tenant / project / ".devstudio" / "specs" / "first",
    ):
        assert place_of(world.root, str(path)) is None, path


def test_links_are_neither_watched_nor_followed(world: Workspaces, tmp_path: Path) -> None:
    place = world.make("first")
    outside = tmp_path / "outside"
    shutil.copytree(place.folder(world.root), outside)
    specs = place.folder(world.root).parent
    (specs / "linked").symlink_to(outside)
    (world.root / str(world.tenant) / str(new_id())).symlink_to(specs.parent.parent)
    (world.root / str(new_id())).symlink_to(world.root / str(world.tenant))
    below = set(folders_of_sessions(world.root))
    assert not any(path.is_symlink() for path in below)
    assert {place_of(world.root, str(path)) for path in below} == {place, None}
    world.file(place).unlink()
    world.file(place).symlink_to(outside / "design.md")
    before = place.look(world.root)
    (outside / "design.md").write_text("longer than it was")
    assert place.look(world.root) == before


def test_nothing_is_left_open(world: Workspaces) -> None:
    world.make("first")
    with watching(world):
        pass
    before = _open()
    for _ in range(3):
        with watching(world) as seen:
            seen.wait(lambda: len(seen.texts) > 0)
            world.make(f"another-{new_id()}")
            seen.wait(lambda: len(seen.texts) > 1)
    until = time.monotonic() + WAIT_S
    while _open() != before and time.monotonic() < until:
        threading.Event().wait(0.05)
    assert _open() == before


def _open() -> tuple[int, int]:
    return len([*Path("/proc/self/fd").iterdir()]), threading.active_count()
