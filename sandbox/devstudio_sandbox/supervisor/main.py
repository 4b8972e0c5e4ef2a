"""The conversation with the host."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from .files import Feed, Unpacker, open_dir, read_file, split_path
from .job import SWEEP_S, Job, Settings
from .processes import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    bound_tasks,
    descendants,
    give_up_capabilities,
    kill_all,
    prctl,
)
from .wire import (
    ADOPT,
    CHUNK,
    DONE,
    ERROR,
    EXPORT,
    GET,
    MAX_STDIN,
    PROTOCOL,
    PUT,
    READY,
    START,
    HostGone,
    Link,
    Refused,
)


class Supervisor:
    """Answers the host, one question after the other."""

    def __init__(self, link: Link, wake: int, settings: Settings) -> None:
        self._link, self._wake, self._settings = link, wake, settings
        self._root = os.open(settings.workspace, os.O_RDONLY | os.O_DIRECTORY)
        self._stdin = bytearray()
        self._forward = None
        if settings.egress:
            from .forward import Forward  # noqa: PLC0415 - few runs have a proxy, and loading it takes time

            self._forward = Forward(settings.egress, settings.uid)

    def serve(self) -> None:
        """Go on until the host is gone."""
        if self._settings.parked:  # what a run will need, it finds loaded
            import tarfile  # noqa: F401, PLC0415
        version = sys.version.split()[0]
        self._link.send_json(READY, protocol=PROTOCOL, pid=os.getpid(), python=version)
        while True:
            self._link.drain()
            kind, payload = self._link.receive()
            try:
                self._answer(kind, payload)
            except Refused as refusal:
                self._link.send_json(ERROR, code=refusal.code, message=str(refusal))

    def _answer(self, kind: int, payload: bytes) -> None:
        if kind == CHUNK:
            self._stdin += payload
            if len(self._stdin) > MAX_STDIN:
                raise HostGone
        elif kind == START:
            stdin, self._stdin = bytes(self._stdin), bytearray()
            self._start(json.loads(payload), stdin)
        elif kind == PUT:
            self._put(**json.loads(payload))
        elif kind == GET:
            size = read_file(self._root, link=self._link, **json.loads(payload))
            self._link.send_json(DONE, size=size)
        elif kind == EXPORT:
            from .export import Exporter  # noqa: PLC0415 - a run without artifacts need not wait for it

            Exporter(self._root, **json.loads(payload)).run(self._link)
        elif kind == ADOPT:
            self._link.expires = time.monotonic() + json.loads(payload)["ttl_s"]
            self._link.send_json(DONE)

    def _start(self, request: dict[str, object], stdin: bytes) -> None:
        cwd = str(request.pop("cwd"))
        try:
            directory = open_dir(self._root, split_path(cwd))
        except OSError as problem:
            text = f"cannot work in {cwd!r}: {os.strerror(problem.errno or 0)} (links are not followed)"
            raise Refused("path", text) from problem
        try:
            if self._forward:
                self._forward.begin()
            job = Job(self._link, self._wake, self._settings, stdin)
            job.run(directory=directory, **request)  # type: ignore[arg-type]
        finally:
            os.close(directory)

    def _put(self, max_bytes: int, max_files: int) -> None:
        feed = Feed(self._link)
        try:
            Unpacker(self._root, feed, max_bytes, max_files).run()
        finally:
            feed.drop()
        self._link.send_json(DONE)


def take_over_stdio() -> tuple[int, int]:
    """Move the protocol to descriptors that no child inherits; a stray print goes to standard error."""
    fd_in, fd_out = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return fd_in, fd_out


def wake_on_child() -> int:
    """Return a descriptor that becomes readable when a child ends."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return readable


def lock_down(settings: Settings) -> None:
    """Give up what the supervisor does not need, and close it to the command's eyes."""
    os.umask(0o022)
    uid = settings.uid
    if settings.pids is not None:
        settings.group = bound_tasks(settings.pids)
    if uid is not None:
        if not settings.apart:
            os.chown(settings.workspace, uid, uid)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        # Apart, the real and the saved uid stay another's: the command may neither signal the supervisor nor open its
        # descriptors. As pid 1 of Linux it needs no such help; gVisor protects a pid 1 from neither.
        os.setresuid(*((-1, uid, -1) if settings.apart else (uid, uid, uid)))
        give_up_capabilities()
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_DUMPABLE, 0)


def main(arguments: str) -> None:
    """Serve until the host is gone, then leave nothing behind."""
    settings = Settings(arguments)
    os.closerange(3, 1024)
    fd_in, fd_out = take_over_stdio()
    wake = wake_on_child()
    lock_down(settings)
    try:
        Supervisor(Link(fd_in, fd_out, settings.ttl_s), wake, settings).serve()
    except HostGone:
        pass
    finally:
        bury()
    sys.exit(0)


def bury() -> None:
    """Kill and collect all that is left; for pid 1 the kernel does it."""
    until = time.monotonic() + SWEEP_S
    while os.getpid() != 1 and descendants() and time.monotonic() < until:
        kill_all()
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
