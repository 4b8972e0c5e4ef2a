"""One command from its start to its true end."""

from __future__ import annotations

import errno
import json
import os
import select
import time

from .guard import guard
from .processes import become, kill_all, oom_kills
from .wire import EXIT, HIGH_WATER, KILL, PIECE, STDERR, STDOUT, HostGone, Link

SWEEP_S = 10.0
"""How long the killed may take to die; only one stuck in the kernel takes longer, and the host destroys the sandbox."""
NOT_FOUND = (errno.ENOENT, errno.ENOTDIR)


class Settings:
    """What the host said when it started the supervisor."""

    def __init__(self, text: str) -> None:
        given = json.loads(text)
        self.workspace: str = given["workspace"]
        self.ttl_s: float = given["ttl_s"]
        self.uid: int | None = given.get("uid")
        self.apart: bool = given.get("apart", False)
        self.pids: int | None = given.get("pids")
        self.cpus: float | None = given.get("cpus")
        """Given where the kernel counts the time that a process waits for its turn as used: gVisor does."""
        self.group = -1
        """By what a command joins the control group of its tasks; -1 where there is none."""
        self.guard = guard(os.getpid())
        self.rlimits: dict[str, int] = given.get("rlimits", {})
        self.own_cgroup: bool = given.get("own_cgroup", False)
        self.egress: str | None = given.get("egress")
        self.parked: bool = given.get("parked", False)


class Job:
    """One command from its start to its true end."""

    def __init__(self, link: Link, wake: int, settings: Settings, stdin: bytes) -> None:
        self._link, self._wake, self._settings = link, wake, settings
        self._stdin = memoryview(stdin)
        self._stdin_fd = -1
        self._pipes: dict[int, int] = {}
        self._pid = 0
        self._status: int | None = None
        self._children = True
        self._ended = 0.0
        self._user_s = self._system_s = 0.0
        self._max_rss = 0
        self._timed_out = self._cancelled = False

    def run(self, argv: list[str], directory: int, env: dict[str, str], deadline_s: float) -> None:
        """Start it, see it through, and send its EXIT frame."""
        ooms = oom_kills() if self._settings.own_cgroup else 0
        began = time.monotonic()
        problem = self._start(argv, directory, env)
        while self._status is None:
            self._step(min(began + deadline_s, self._link.expires))
            if not self._timed_out and self._status is None and time.monotonic() >= began + deadline_s:
                self._timed_out = True
                kill_all(self._pid)
        self._sweep()
        status = problem or os.waitstatus_to_exitcode(self._status)
        self._bound_times((self._ended - began) * (self._settings.cpus or float("inf")))
        self._link.send_json(
            EXIT,
            exit_code=status if status >= 0 else 128 - status,
            signal=-status if status < 0 else None,
            timed_out=self._timed_out,
            cancelled=self._cancelled,
            duration_s=self._ended - began,
            user_s=self._user_s,
            system_s=self._system_s,
            max_rss_bytes=self._max_rss,
            oom_killed=self._settings.own_cgroup and oom_kills() > ooms,
        )

    def _start(self, argv: list[str], directory: int, env: dict[str, str]) -> int:
        out, err, failed = os.pipe(), os.pipe(), os.pipe()
        into = os.pipe() if self._stdin else (os.open(os.devnull, os.O_RDONLY), -1)
        self._pid = os.fork()
        if self._pid == 0:
            stdio, told = (into[0], out[1], err[1]), self._settings
            become(argv, env, directory, stdio, failed[1], told.rlimits, (told.uid, told.group, told.guard))
        for fd in (out[1], err[1], failed[1], into[0]):
            os.close(fd)
        with open(failed[0], "rb") as file:  # ends when the program has replaced the child
            number = int(file.read() or 0)
        self._pipes = {out[0]: STDOUT, err[0]: STDERR}
        self._stdin_fd = into[1]
        for fd in (out[0], err[0], into[1]):
            if fd >= 0:
                os.set_blocking(fd, False)
        return self._explain(argv[0], number) if number else 0

    def _explain(self, program: str, number: int) -> int:
        what = "command not found" if number in NOT_FOUND else f"cannot be executed: {os.strerror(number)}"
        self._link.send(STDERR, f"devstudio: {program}: {what}\n".encode())
        return 127 if number in NOT_FOUND else 126

    def _step(self, until: float) -> None:
        """Wait for something to happen, and do what it calls for."""
        self._obey()  # first, because a KILL may have come in one piece with START
        link, poller = self._link, select.poll()
        for fd in (link.fd_in, self._wake, *(self._pipes if link.pending < HIGH_WATER else ())):
            poller.register(fd, select.POLLIN)
        for fd, wanted in ((link.fd_out, link.pending), (self._stdin_fd, self._stdin_fd >= 0)):
            if wanted:
                poller.register(fd, select.POLLOUT)
        for fd, _ in poller.poll(max(0, until - time.monotonic()) * 1000 + 1):
            if fd == link.fd_in:
                link.fill()
            elif fd == self._wake:
                os.read(self._wake, PIECE)
            elif fd == link.fd_out:
                link.flush()
            elif fd == self._stdin_fd:
                self._feed()
            else:
                self._read(fd)
        if time.monotonic() >= link.expires:
            raise HostGone
        self._reap()

    def _obey(self) -> None:
        while (frame := self._link.pop()) is not None:
            if frame[0] == KILL:
                self._cancelled = True
                kill_all(self._pid if self._status is None else 0)

    def _feed(self) -> None:
        try:
            self._stdin = self._stdin[os.write(self._stdin_fd, self._stdin[:PIECE]) :]
        except BlockingIOError:
            return
        except OSError:  # it closed its input: that is its right
            self._stdin = memoryview(b"")
        if not self._stdin:
            os.close(self._stdin_fd)
            self._stdin_fd = -1

    def _read(self, fd: int) -> None:
        try:
            piece = os.read(fd, PIECE)
        except BlockingIOError:
            return
        if piece:
            self._link.send(self._pipes[fd], piece)
        else:
            del self._pipes[fd]
            os.close(fd)

    def _reap(self) -> None:
        """Collect everyone who died, ours or inherited."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._children = False
                return
            if pid == 0:
                return
            self._user_s += usage.ru_utime
            self._system_s += usage.ru_stime
            self._max_rss = max(self._max_rss, usage.ru_maxrss * 1024)
            if pid == self._pid:
                self._status, self._ended = status, time.monotonic()

    def _bound_times(self, most: float) -> None:
        """Take back what cannot be: more processor time than there was."""
        used = self._user_s + self._system_s
        if used > most:
            self._user_s, self._system_s = self._user_s * most / used, self._system_s * most / used

    def _sweep(self) -> None:
        """Let nothing of a command that is over live on, and nothing that it said be lost."""
        until = time.monotonic() + SWEEP_S
        while (self._children or self._pipes) and time.monotonic() < until:
            if self._children:
                kill_all()
            elif self._link.pending >= HIGH_WATER:
                until = time.monotonic() + SWEEP_S  # the host is slow, which is no reason to cut
            self._step(time.monotonic() + 0.01)
        for fd in (*self._pipes, self._stdin_fd):
            if fd >= 0:
                os.close(fd)
        self._pipes, self._stdin_fd = {}, -1
