"""What every backend does alike, so that a caller need not know which one it got."""

import hashlib
import io
import os
import random
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sandbox_kit import OUTLIVER, Output, alive, present_runs, python, run, spec

from devstudio_sandbox import (
    ArchiveEntry,
    ArtifactTooLarge,
    Backend,
    Command,
    Limits,
    Sandbox,
    SandboxLost,
    Stream,
    WorkspaceRejected,
    pack,
)

BIG = 5 * 1024 * 1024


def mark() -> str:
    """Give a number of seconds that no other process sleeps for."""
    return str(10**6 + uuid4().int % 10**9)


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", link: str = "") -> bytes:
    """Write one tar member as an attacker would."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(data), link
    return info.tobuf() + data + bytes(-len(data) % 512)


def test_files_go_in_and_come_out(sandbox: Sandbox) -> None:
    entries = [
        ArchiveEntry("src/deep/run.sh", b"#!/bin/sh\necho ran\n", 0o755),
        ArchiveEntry("data.bin", bytes(range(256))),
    ]
    sandbox.put(pack(entries))
    assert sandbox.get("data.bin", 256) == bytes(range(256))
    assert sandbox.get("./src/deep/run.sh", 100) == b"#!/bin/sh\necho ran\n"
    done, output = run(sandbox, "./src/deep/run.sh")
    assert (done.exit_code, bytes(output.stdout)) == (0, b"ran\n")


def test_a_second_archive_replaces_files(sandbox: Sandbox) -> None:
    sandbox.put(pack([ArchiveEntry("a", b"old"), ArchiveEntry("b", b"stays")]))
    sandbox.put(pack([ArchiveEntry("a", b"new")]))
    assert (sandbox.get("a", 10), sandbox.get("b", 10)) == (b"new", b"stays")


def test_get_knows_missing_and_too_large(sandbox: Sandbox) -> None:
    sandbox.put(pack([ArchiveEntry("a", b"12345")]))
    assert sandbox.get("b", 5) is None
    assert sandbox.get("no/such/folder", 5) is None
    assert sandbox.get("a", 5) == b"12345"
    with pytest.raises(ArtifactTooLarge, match="4 bytes"):
        sandbox.get("a", 4)


@pytest.mark.parametrize(
    "path", ["../etc/passwd", "/etc/passwd", "link", "folder/passwd", ".", "pipe", "a/../../x", ""]
)
def test_get_refuses_what_leads_out_or_is_no_file(sandbox: Sandbox, path: str) -> None:
    done, _ = run(sandbox, "sh", "-c", "ln -s /etc/passwd link; ln -s /etc folder; mkfifo pipe")
    assert done.exit_code == 0
    with pytest.raises(WorkspaceRejected):
        sandbox.get(path, 1_000_000)


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("absolute", member("/tmp/escaped")),
        ("parent", member("a/../../escaped")),
        ("symlink", member("link", tarfile.SYMTYPE, link="/etc/passwd")),
        ("hard link", member("link", tarfile.LNKTYPE, link="/etc/passwd")),
        ("device", member("null", tarfile.CHRTYPE)),
        ("block device", member("disk", tarfile.BLKTYPE)),
        ("pipe", member("pipe", tarfile.FIFOTYPE)),
        ("sparse", member("sparse", tarfile.GNUTYPE_SPARSE)),
        (
            "sparse by another header",
            member("x", tarfile.XHDTYPE, b"26 GNU.sparse.map=0,1,5,1\n22 GNU.sparse.size=10\n") + member("a"),
        ),
        ("no name", member("./")),
        ("cut short", member("a", data=b"x" * 5000)[:2000]),
        ("no archive", b"this is not a tar archive" * 100),
        ("huge header", member("x", tarfile.XHDTYPE, b"y" * 2_000_000)),
        ("headers without end", member("x", tarfile.XHDTYPE, b"11 path=ab\n") * 3000),
        ("damaged in the middle", member("a", data=b"1") + b"\xff" * 512 + member("b")),
    ],
)
def test_hostile_archives_are_refused(sandbox: Sandbox, name: str, archive: bytes) -> None:
    with pytest.raises(WorkspaceRejected):
        sandbox.put([archive, bytes(1024)])
    # and the conversation goes on: the rest of the stream was not taken for questions
    assert sandbox.get("link", 10) is None, name
    assert run(sandbox, "true")[0].exit_code == 0


def test_an_archive_does_not_write_through_a_link(sandbox: Sandbox) -> None:
    run(sandbox, "sh", "-c", "mkdir real && ln -s real link && echo kept > real/file && ln -s real/file direct")
    with pytest.raises(WorkspaceRejected):
        sandbox.put(pack([ArchiveEntry("link/file", b"changed")]))
    sandbox.put(pack([ArchiveEntry("direct", b"own")]))
    assert sandbox.get("real/file", 100) == b"kept\n"
    assert sandbox.get("direct", 100) == b"own"


def test_an_archive_is_bounded_in_files_and_bytes(backend: Backend) -> None:
    with backend.open(spec(limits=Limits(workspace_files=10, workspace_bytes=1_000_000))) as sandbox:
        with pytest.raises(WorkspaceRejected, match="files"):
            sandbox.put(pack(ArchiveEntry(f"f{number}", b"") for number in range(12)))
        with pytest.raises(WorkspaceRejected, match="bytes"):
            sandbox.put(pack([ArchiveEntry("big", bytes(1_100_000))]))


def test_long_and_odd_names_survive(sandbox: Sandbox) -> None:
    name = "ä folder/" + "x" * 200 + "/" + "y z" * 60
    sandbox.put(pack([ArchiveEntry(name, b"here")]))
    assert sandbox.get(name, 10) == b"here"


def test_outputs_are_kept_apart(sandbox: Sandbox) -> None:
    done, output = run(sandbox, "sh", "-c", "echo to-out; echo to-err >&2; exit 3")
    assert (bytes(output.stdout), bytes(output.stderr), done.exit_code) == (b"to-out\n", b"to-err\n", 3)
    assert (done.signal, done.timed_out, done.cancelled) == (None, False, False)


def test_output_of_5_mb_that_is_no_text_arrives_intact(sandbox: Sandbox) -> None:
    script = f"import os,random; out=os.fdopen(1,'wb'); out.write(random.Random(7).randbytes({BIG}))"
    done, output = python(sandbox, script)
    assert done.exit_code == 0
    assert hashlib.sha256(output.stdout).digest() == hashlib.sha256(random.Random(7).randbytes(BIG)).digest()


def test_a_slow_reader_loses_nothing(sandbox: Sandbox) -> None:
    seen = bytearray()
    gate = threading.Event()

    def read(_: Stream, data: bytes) -> None:
        gate.wait(0.001)
        seen.extend(data)

    sandbox.run(Command(("sh", "-c", f"head -c {BIG} /dev/zero")), read)
    assert len(seen) == BIG


def test_standard_input_arrives_and_ends(sandbox: Sandbox) -> None:
    text = os.urandom(300_000)
    done, output = run(sandbox, "sha256sum", stdin=text)
    assert done.exit_code == 0
    assert output.stdout.decode().split()[0] == hashlib.sha256(text).hexdigest()
    assert run(sandbox, "cat")[0].exit_code == 0  # none given: it is empty, not open
    assert run(sandbox, "true", stdin=text)[0].exit_code == 0  # not read: no harm


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        (("no-such-program",), 127, b"no-such-program: command not found"),
        (("./no-such-file",), 127, b"command not found"),
        (("./plain.txt",), 126, b"cannot be executed"),
        (("./folder",), 126, b"cannot be executed"),
        (("./no-format",), 126, b"cannot be executed"),
        (("a\0b",), 126, b"cannot be executed"),
    ],
)
def test_what_cannot_start_says_so(sandbox: Sandbox, argv: tuple[str, ...], code: int, text: bytes) -> None:
    run(sandbox, "sh", "-c", "echo hi > plain.txt; mkdir folder; echo hi > no-format; chmod 755 no-format")
    done, output = run(sandbox, *argv)
    assert done.exit_code == code
    assert text in output.stderr


def test_a_signal_is_told(sandbox: Sandbox) -> None:
    done, _ = run(sandbox, "sh", "-c", "kill -SEGV $$")
    assert (done.exit_code, done.signal) == (139, 11)


def test_a_broken_pipe_ends_the_writer_as_usual(sandbox: Sandbox) -> None:
    done, output = run(sandbox, "sh", "-c", "yes | head -n 1")
    assert (done.exit_code, bytes(output.stdout), bytes(output.stderr)) == (0, b"y\n", b"")


def test_environment_is_minimal_and_extended(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTUDIO_SECRET", "canary")
    output = Output()
    sandbox.run(Command(("env",), env={"EXTRA": "1", "LANG": "C"}), output)
    told = dict(line.split("=", 1) for line in output.stdout.decode().splitlines())
    assert told == {**sandbox.env, "EXTRA": "1", "LANG": "C"}
    assert b"canary" not in output.stdout


def test_cwd_is_inside_the_workspace(sandbox: Sandbox) -> None:
    run(sandbox, "sh", "-c", "mkdir -p a/b; ln -s / out")
    output = Output()
    sandbox.run(Command(("pwd",), cwd="a/b"), output)
    assert output.stdout.decode().strip() == f"{sandbox.workspace}/a/b"
    for cwd in ("..", "/", "out", "a/../..", "missing"):
        with pytest.raises(WorkspaceRejected):
            sandbox.run(Command(("pwd",), cwd=cwd), output)


def test_when_memory_runs_out_the_command_goes_first(sandbox: Sandbox) -> None:
    assert run(sandbox, "cat", "/proc/self/oom_score_adj")[1].stdout == b"1000\n"


def test_a_command_inherits_no_descriptor(sandbox: Sandbox) -> None:
    _, output = python(sandbox, "import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:-1])")
    assert output.stdout == b"[0, 1, 2]\n"


@pytest.mark.parametrize("backend", ["docker", "gvisor", "bubblewrap"], indirect=True)
def test_a_command_cannot_look_into_the_supervisor(backend: Backend) -> None:
    with backend.open(spec()) as sandbox:
        done, output = run(
            sandbox, "sh", "-c", "ls /proc/1/fd; cat /proc/1/mem; echo x > /proc/1/fd/1; kill -9 1; kill -TERM 1"
        )
        assert output.stdout == b""
        assert b"ermission denied" in output.stderr
        assert run(sandbox, "true")[0].exit_code == 0
        assert done.signal is None


def test_the_deadline_ends_a_command_that_does_not_want_to(sandbox: Sandbox) -> None:
    word = mark()
    began = time.monotonic()
    done, output = python(sandbox, OUTLIVER, word, "3600", deadline_s=0.8)
    assert (done.timed_out, done.cancelled, done.signal, done.exit_code) == (True, False, 9, 137)
    assert 0.8 <= done.duration_s < 3
    assert time.monotonic() - began < 5
    assert output.stdout == b"started\n"
    assert alive(sandbox, word) == 0


def test_what_outlives_its_command_is_killed(sandbox: Sandbox) -> None:
    word = mark()
    done, output = python(sandbox, OUTLIVER, word)
    assert (done.exit_code, done.timed_out, bytes(output.stdout)) == (0, False, b"started\n")
    assert done.duration_s < 5
    assert alive(sandbox, word) == 0


def test_a_background_process_that_holds_the_output_does_not_hold_the_run(sandbox: Sandbox) -> None:
    word = mark()
    done, output = run(sandbox, "sh", "-c", f"sleep {word} & echo done")
    assert (done.exit_code, bytes(output.stdout)) == (0, b"done\n")
    assert alive(sandbox, word) == 0


def test_a_command_that_closes_its_outputs_still_ends_truly(sandbox: Sandbox) -> None:
    done, _ = python(sandbox, "import os,time; os.closerange(0, 3); time.sleep(0.3); os._exit(7)")
    assert done.exit_code == 7
    assert done.duration_s >= 0.3


def test_cancel_from_another_thread(sandbox: Sandbox) -> None:
    word = mark()
    started = threading.Event()
    with ThreadPoolExecutor() as pool:
        command = Command(("python3", "-", word, "3600"), stdin=OUTLIVER.encode())
        future = pool.submit(sandbox.run, command, lambda *_: started.set())
        assert started.wait(20)
        sandbox.kill()
        done = future.result(20)
    assert (done.cancelled, done.timed_out, done.signal) == (True, False, 9)
    later, output = run(sandbox, "echo", "never")
    assert later.cancelled
    assert output.stdout == b""


def test_cancel_before_the_start_is_not_lost(sandbox: Sandbox) -> None:
    sandbox.put(pack([ArchiveEntry("a", b"1")]))
    sandbox.kill()
    assert run(sandbox, "sleep", "3600")[0].cancelled
    assert sandbox.get("a", 1) == b"1"


def test_cancel_at_any_moment(backend: Backend) -> None:
    """The kill may fall before, into or after the start: the command never runs on."""
    for step in range(12):
        with backend.open(spec()) as sandbox, ThreadPoolExecutor() as pool:
            future = pool.submit(run, sandbox, "sleep", "3600")
            threading.Event().wait(step * 0.001)
            sandbox.kill()
            assert future.result(20)[0].cancelled


def test_resources_are_measured(sandbox: Sandbox) -> None:
    script = "import time; x = bytearray(60_000_000)\nwhile time.process_time() < 0.3: pass"
    done, _ = python(sandbox, script)
    assert 0.3 <= done.cpu_s < 3
    assert 60_000_000 <= done.max_rss_bytes < 300_000_000
    assert done.duration_s >= 0.25


def test_a_sandbox_may_outlive_the_thread_that_opened_it(backend: Backend) -> None:
    opened: list[Sandbox] = []
    thread = threading.Thread(target=lambda: opened.append(backend.open(spec())))
    thread.start()
    thread.join()
    with opened[0] as sandbox:
        assert run(sandbox, "sh", "-c", "sleep 0.2; echo alive")[1].stdout == b"alive\n"


def test_commands_follow_one_another_quickly(sandbox: Sandbox) -> None:
    began = time.monotonic()
    for _ in range(20):
        assert run(sandbox, "true")[0].exit_code == 0
    assert (time.monotonic() - began) / 20 < 0.1


def test_close_removes_everything_and_may_be_repeated(backend: Backend) -> None:
    wanted = spec()
    sandbox = backend.open(wanted)
    sandbox.put(pack([ArchiveEntry("a", b"1")]))
    with ThreadPoolExecutor() as pool:
        started = threading.Event()
        command = Command(("python3", "-", mark(), "3600"), stdin=OUTLIVER.encode())
        future = pool.submit(sandbox.run, command, lambda *_: started.set())
        assert started.wait(20)
        sandbox.close()
        with pytest.raises(SandboxLost):
            future.result(20)
    sandbox.close()
    with pytest.raises(SandboxLost):
        sandbox.get("a", 1)
    sandbox.kill()
    assert wanted.run_id not in present_runs()


def test_reap_removes_what_nobody_closed_and_keeps_the_rest(backend: Backend) -> None:
    kept, lost = spec(), spec()
    with backend.open(kept) as living, backend.open(lost) as dying:
        assert backend.reap(keep=[kept.run_id], only=[kept.run_id, lost.run_id]) == 1
        assert kept.run_id in present_runs()
        assert lost.run_id not in present_runs()
        assert run(living, "echo", "here")[1].stdout == b"here\n"
        with pytest.raises(SandboxLost, match="run it again"):
            run(dying, "true")


def test_reap_touches_only_the_runs_that_it_is_told(backend: Backend) -> None:
    other, lost = spec(), spec()
    with backend.open(other) as living, backend.open(lost):
        assert backend.reap(only=[lost.run_id, uuid4()]) == 1
        assert lost.run_id not in present_runs()
        assert run(living, "echo", "here")[1].stdout == b"here\n"


def test_a_sandbox_ends_at_its_time_to_live(backend: Backend) -> None:
    with backend.open(spec(ttl_s=1)) as sandbox:
        began = time.monotonic()
        with pytest.raises(SandboxLost, match="time to live"):
            run(sandbox, "sleep", "3600")
        assert time.monotonic() - began < 5


def test_status_is_quick_and_true(backend: Backend) -> None:
    began = time.monotonic()
    status = backend.status()
    assert time.monotonic() - began < 2
    assert status.available
    assert status.name == backend.name
    with backend.open(spec()) as sandbox:
        assert sandbox.isolation == status.isolation


def test_archives_are_the_same_for_the_same_files() -> None:
    entries = [ArchiveEntry("a", b"1"), ArchiveEntry("b/c", b"2", 0o755)]
    first, second = (b"".join(pack(entries)) for _ in range(2))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert [(item.name, item.mode, item.mtime) for item in tar] == [("a", 0o644, 0), ("b/c", 0o755, 0)]
    for path in ("/a", "../a", "a/../../b", "", "a\0"):
        with pytest.raises(WorkspaceRejected):
            b"".join(pack([ArchiveEntry(path, b"")]))
