"""The supervisor alone, as a child process, spoken to in raw frames: what the host's own code would never send."""

import ast
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstudio_sandbox.host import PACKAGE, SUPERVISOR
from devstudio_sandbox.supervisor import BOOT, wire


class Raw:
    """Frames to and from a supervisor."""

    def __init__(self, workspace: Path, **settings: object) -> None:
        told = json.dumps({"workspace": str(workspace), "ttl_s": 60, **settings})
        argv = [sys.executable, "-I", "-S", "-B", "-c", BOOT, str(PACKAGE), told]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        assert self.process.stdin
        assert self.process.stdout
        self.into, self.out = self.process.stdin, self.process.stdout

    def send(self, kind: int, payload: bytes | dict[str, object] = b"") -> None:
        """Send one frame."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.into.write(wire.HEADER.pack(kind, len(data)) + data)

    def start(self, *argv: str, deadline_s: float = 30) -> None:
        """Ask for a command."""
        env = {"PATH": "/usr/bin:/bin"}
        self.send(wire.START, {"argv": argv, "cwd": ".", "env": env, "deadline_s": deadline_s})

    def read(self, size: int) -> bytes:
        """Read exactly so many bytes."""
        data = b""
        while len(data) < size and (piece := self.out.read(size - len(data))):
            data += piece
        return data

    def receive(self) -> tuple[int, bytes]:
        """Receive one frame."""
        kind, size = wire.HEADER.unpack(self.read(wire.HEADER.size))
        return kind, self.read(size)

    def until_exit(self) -> tuple[dict[int, bytes], dict[str, object]]:
        """Collect the output and the end of a command."""
        output = {wire.STDOUT: b"", wire.STDERR: b""}
        while True:
            kind, payload = self.receive()
            if kind == wire.EXIT:
                return output, json.loads(payload)
            output[kind] += payload

    def end(self) -> str:
        """Let it go, and return what it said for diagnosis."""
        self.into.close()
        assert self.process.wait(15) == 0
        self.out.close()
        assert self.process.stderr
        with self.process.stderr as file:
            return file.read().decode()


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Raw]:
    """Give a supervisor that has said it is ready."""
    supervisor = Raw(tmp_path)
    kind, payload = supervisor.receive()
    told = json.loads(payload)
    assert (kind, told["protocol"], told["pid"]) == (wire.READY, wire.PROTOCOL, supervisor.process.pid)
    assert told["python"] == sys.version.split()[0]
    yield supervisor
    assert supervisor.end() == ""


def test_a_whole_conversation(raw: Raw) -> None:
    raw.start("sh", "-c", "echo out; echo err >&2; exit 5")
    output, told = raw.until_exit()
    assert output == {wire.STDOUT: b"out\n", wire.STDERR: b"err\n"}
    assert (told["exit_code"], told["signal"], told["timed_out"], told["cancelled"]) == (5, None, False, False)
    assert {"duration_s", "user_s", "system_s", "max_rss_bytes", "oom_killed"} < told.keys()


def test_a_frame_may_come_in_pieces(raw: Raw) -> None:
    payload = json.dumps({"argv": ["echo", "whole"], "cwd": ".", "env": {"PATH": "/bin"}, "deadline_s": 9}).encode()
    for byte in wire.HEADER.pack(wire.START, len(payload)) + payload:
        raw.into.write(bytes([byte]))
    assert raw.until_exit()[0][wire.STDOUT] == b"whole\n"


def test_a_kill_without_a_command_does_nothing(raw: Raw) -> None:
    raw.send(wire.KILL)
    raw.start("echo", "lives")
    output, told = raw.until_exit()
    assert (output[wire.STDOUT], told["cancelled"]) == (b"lives\n", False)


def test_a_kill_right_behind_the_start_hits(raw: Raw) -> None:
    raw.start("sleep", "3600")
    raw.send(wire.KILL)
    _, told = raw.until_exit()
    assert (told["cancelled"], told["signal"]) == (True, signal.SIGKILL)


def test_a_deadline_of_nothing_still_ends_truly(raw: Raw) -> None:
    raw.start("sleep", "3600", deadline_s=0)
    _, told = raw.until_exit()
    assert (told["timed_out"], told["exit_code"]) == (True, 137)


def test_limits_hold_for_the_command(tmp_path: Path) -> None:
    supervisor = Raw(tmp_path, rlimits={"NOFILE": 33, "FSIZE": 1000, "CORE": 0})
    supervisor.receive()
    supervisor.start("sh", "-c", "ulimit -n; ulimit -c; head -c 5000 /dev/zero > f; wc -c < f")
    output, _ = supervisor.until_exit()
    assert output[wire.STDOUT].split() == [b"33", b"0", b"1000"]
    supervisor.end()


@pytest.mark.parametrize("ending", ["end of file", "quit", "a frame that is too large", "SIGKILL of the host's side"])
def test_whatever_ends_the_conversation_ends_the_command(tmp_path: Path, ending: str) -> None:
    supervisor = Raw(tmp_path)
    supervisor.receive()
    supervisor.start("sh", "-c", "setsid sleep 3600 & echo $!; exec sleep 3600")
    _, payload = supervisor.receive()
    if ending == "quit":
        supervisor.send(wire.QUIT)
    elif ending == "a frame that is too large":
        supervisor.into.write(struct.pack("!BI", wire.START, wire.MAX_FRAME + 1))
    elif ending == "SIGKILL of the host's side":
        supervisor.out.close()
        supervisor.into.close()
    supervisor.into.close()
    assert supervisor.process.wait(15) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(payload), 0)
    supervisor.out.close()
    assert supervisor.process.stderr
    supervisor.process.stderr.close()


def test_its_time_to_live_ends_an_idle_one(tmp_path: Path) -> None:
    supervisor = Raw(tmp_path, ttl_s=0.2)
    supervisor.receive()
    assert supervisor.process.wait(5) == 0
    supervisor.end()


def test_questions_and_answers_stay_in_step_after_refusals(raw: Raw) -> None:
    raw.send(wire.PUT, {"max_bytes": 10, "max_files": 10})
    for _ in range(50):
        raw.send(wire.CHUNK, b"rubbish" * 1000)
    raw.send(wire.END)
    assert raw.receive()[0] == wire.ERROR
    raw.send(wire.GET, {"path": "../x", "max_bytes": 1})
    assert json.loads(raw.receive()[1])["code"] == "path"
    raw.send(wire.GET, {"path": "nothing", "max_bytes": 1})
    assert json.loads(raw.receive()[1])["code"] == "missing"
    raw.start("echo", "in step")
    assert raw.until_exit()[0][wire.STDOUT] == b"in step\n"


def test_zombies_are_collected(raw: Raw) -> None:
    raw.start("sh", "-c", "for i in 1 2 3 4 5; do (true & ) ; done; sleep 0.1")
    raw.until_exit()
    children = Path(f"/proc/{raw.process.pid}/task/{raw.process.pid}/children").read_text()
    assert children == ""


def test_it_needs_nothing_but_an_old_standard_library() -> None:
    """The images' Python is not ours: every import must be of the standard library, or of the package itself."""
    for module in SUPERVISOR.glob("*.py"):
        tree = ast.parse(module.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, module


def test_a_file_that_grows_while_it_is_read_ends_where_it_was_announced(raw: Raw, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a" * 3_000_000)
    raw.send(wire.EXPORT, {"patterns": ["*"], "max_bytes": 3_000_000, "max_files": 1})
    kind, payload = raw.receive()
    assert (kind, json.loads(payload)) == (wire.ENTRY, {"path": "log", "size": 3_000_000, "executable": False})
    with (tmp_path / "log").open("ab") as file:
        file.write(b"b" * 500_000)
    data = b""
    while (frame := raw.receive())[0] == wire.DATA:
        data += frame[1]
    assert data == b"a" * 3_000_000
    assert frame[0] == wire.DONE


def test_a_file_that_shrinks_while_it_is_read_is_an_error(raw: Raw, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a" * 3_000_000)
    raw.send(wire.EXPORT, {"patterns": ["*"], "max_bytes": 3_000_000, "max_files": 1})
    assert raw.receive()[0] == wire.ENTRY
    os.truncate(tmp_path / "log", 1000)
    while (frame := raw.receive())[0] == wire.DATA:
        pass
    assert frame[0] == wire.ERROR
    assert "shorter" in json.loads(frame[1])["message"]


def test_an_adopted_supervisor_lives_as_long_as_it_is_told_from_then_on(tmp_path: Path) -> None:
    supervisor = Raw(tmp_path, ttl_s=1, parked=True)
    supervisor.receive()
    supervisor.send(wire.ADOPT, {"ttl_s": 60})
    assert supervisor.receive()[0] == wire.DONE
    supervisor.start("sleep", "1.5")
    assert supervisor.until_exit()[1]["exit_code"] == 0
    supervisor.send(wire.ADOPT, {"ttl_s": 0})
    assert supervisor.process.wait(15) == 0
    supervisor.end()
