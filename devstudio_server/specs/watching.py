"""Notices what other programs do to the files of sessions, and has each session synced once its files are at rest.

Only the folders on the way to sessions are watched, never whole trees: a project may hold any number of files. Events
only say where to look; whether a file was written again is told by its inode, size and time, and what is in it by
whoever syncs. So what the server wrote itself costs a look and changes nothing, and a lost event is made up for by the
next look at everything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from watchfiles import watch

from devstudio_server.kit.logging import get_logger
from devstudio_server.specs.places import Look, Place, folders_of_sessions, is_folder_of_sessions, place_of

QUIET_S = 0.3
"""How long a session's files must be at rest before they are read: programs write in bursts."""
GAP_S = 2.0
"""How long they must be at rest while a file is gone or empty that was there: many programs save in two steps."""
LONGEST_S = 10.0
"""Files that never come to rest are read after this long."""
LOOK_S = 60.0
"""How often everything is looked at although the system told nothing."""
POLL_S = 2.0
"""How often, where the system tells nothing."""
RETRY_S = 5.0
MAX_FOLDERS = 20_000
"""Beyond this, folders are looked at instead of watched: each watch takes memory of the kernel."""
_TICK_MS = 200
"""How often the watcher looks at its clock. It also gathers events for so long."""
_STEP_MS = 50
_SET = "it is set so"
_log = get_logger("specs")

Sync = Callable[[Place], bool]
"""Brings a session and its files together; False when it is to be tried again."""


@dataclass(frozen=True)
class Pace:
    """How long the watcher waits for what, in seconds."""

    quiet_s: float = QUIET_S
    gap_s: float = GAP_S
    look_s: float = LOOK_S
    poll_s: float = POLL_S
    retry_s: float = RETRY_S


@dataclass(frozen=True)
class _Due:
    """A session whose files were touched: how they looked, when that is old enough, and when it is at the latest."""

    look: Look
    at: float
    latest: float
    tries: int = 0


class SpecWatcher:
    """A thread that watches the folders of all sessions below one root."""

    def __init__(self, root: Path, sync: Sync, *, polling: bool = False, pace: Pace | None = None) -> None:
        """Watch below ``root``. ``polling`` looks again and again instead of having the system tell."""
        self._root = root
        self._sync = sync
        self._pace = pace or Pace()
        self._polling = polling
        self._reason = _SET if polling else ""
        self._seen: dict[Place, Look] = {}
        self._due: dict[Place, _Due] = {}
        self._next_look = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="devstudio-spec-watcher", daemon=True)

    def start(self) -> None:
        """Look at everything that changed while nobody watched, and watch from then on."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop after the session that is being synced."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    @property
    def state(self) -> str:
        """What the watcher does, in words."""
        if not self.alive():
            return "files are not watched"
        how = f"every {self._pace.poll_s:g} s, because {self._reason}" if self._polling else "as the system tells"
        return f"{len(self._seen)} sessions' files are looked at {how}"

    @property
    def limited(self) -> bool:
        """Whether the watcher looks again and again because the system does not tell."""
        return self._polling and self._reason != _SET

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except Exception as error:  # noqa: BLE001 - whatever breaks, files go on being looked at
                _log.error("watching_failed", exc_info=error)
                self._stopping.wait(self._pace.retry_s)

    def _follow(self) -> None:
        """Watch until the folders change, everything is to be looked at again, or the watcher stops."""
        folders = [*folders_of_sessions(self._root)]
        with closing(self._ticks(folders)) as ticks:
            next(ticks, None)  # from now on the system tells, so whatever is not seen here will be told
            if folders != [*folders_of_sessions(self._root)]:
                return  # to watch the new ones as well
            self._look_at_all(folders)
            for told in ticks:
                self._touch(place for path in told for place in [place_of(self._root, path)] if place)
                self._sync_due()
                if self._next_look <= time.monotonic() or any(is_folder_of_sessions(self._root, path) for path in told):
                    return

    def _ticks(self, folders: Sequence[Path]) -> Generator[list[str]]:
        """Yield again and again, until the watcher stops: which paths changed since the last time."""
        if not self._polling and len(folders) > MAX_FOLDERS:
            self._poll(f"there are more than {MAX_FOLDERS} folders")
        while not self._polling and not self._stopping.is_set():
            armed = False
            try:
                for told in self._told(folders):
                    armed = True
                    yield told
            except (FileNotFoundError, PermissionError):
                return  # a folder went in between, or was closed: the next turn lists them anew
            except (OSError, RuntimeError) as error:
                if armed:
                    raise
                self._poll(f"the system watches no more folders ({error})")
        while not self._stopping.is_set():
            yield []
            self._stopping.wait(_TICK_MS / 1000)

    def _told(self, folders: Sequence[Path]) -> Generator[list[str]]:
        """Yield what the system tells of ``folders``; raises OSError or RuntimeError where it does not tell."""
        changes = watch(
            *folders,
            watch_filter=None,
            debounce=_TICK_MS,
            step=_STEP_MS,
            stop_event=self._stopping,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=False,
            recursive=False,
            ignore_permission_denied=False,  # with it, watchfiles keeps the limit of watches to itself as well
        )
        with closing(changes):
            for told in changes:
                yield [path for _, path in told]

    def _poll(self, reason: str) -> None:
        self._polling, self._reason = True, reason
        hint = "Raise fs.inotify.max_user_watches and max_user_instances, and restart the server."
        _log.warning("watching_by_polling", reason=reason, every_s=self._pace.poll_s, hint=hint)

    def _look_at_all(self, folders: Iterable[Path]) -> None:
        """Look at the files of every session, and forget those whose folders are gone."""
        places = {place for folder in folders for place in [place_of(self._root, str(folder))] if place}
        for gone in self._seen.keys() - places:
            del self._seen[gone]
        self._touch(sorted(places))
        self._next_look = time.monotonic() + (self._pace.poll_s if self._polling else self._pace.look_s)

    def _touch(self, places: Iterable[Place]) -> None:
        """Note which of ``places`` do not look as they did, and wait until they are at rest."""
        now = time.monotonic()
        for place in places:
            look, due = place.look(self._root), self._due.get(place)
            if look == (due.look if due else self._seen.get(place)):
                continue
            if due is not None and look == self._seen.get(place):
                del self._due[place]
                continue
            latest = due.latest if due else now + LONGEST_S
            self._due[place] = _Due(look, min(latest, now + self._rest(place, look)), latest)

    def _rest(self, place: Place, look: Look) -> float:
        """Return how long files must be at rest that look so: longer while one is gone or empty that was not."""
        before = self._seen.get(place) or (None,) * len(look)
        gaps = (was and was[1] > 0 and (now is None or now[1] == 0) for was, now in zip(before, look, strict=True))
        return self._pace.gap_s if any(gaps) else self._pace.quiet_s

    def _sync_due(self) -> None:
        """Sync every session whose files are at rest."""
        for place, due in sorted(self._due.items()):
            if self._stopping.is_set():
                return
            now = time.monotonic()
            if due.at > now:
                continue
            look = place.look(self._root)
            if look != due.look and due.latest > now:
                self._touch([place])
                continue
            self._sync_one(place, look)

    def _sync_one(self, place: Place, look: Look) -> None:
        tries = self._due[place].tries
        if self._done(place):
            del self._due[place]
            self._seen[place] = look  # a file that was written since then looks different, and is looked at again
        else:
            at = time.monotonic() + min(self._pace.retry_s * 2**tries, LOOK_S)
            self._due[place] = _Due(look, at, at, min(tries + 1, 10))

    def _done(self, place: Place) -> bool:
        try:
            return self._sync(place)
        except Exception as error:  # noqa: BLE001 - what goes wrong with one session stops no other's
            _log.error("sync_failed", project_id=str(place.project_id), slug=place.slug, exc_info=error)
            return False
