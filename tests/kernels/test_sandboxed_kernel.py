"""One kernel in its container, through the server: what it can do, and how it ends."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import docker
import pytest

from devstudio_server.auth.identity import LOCAL_TENANT_ID
from support.kernel_client import KernelClient, until
from support.studio import Studio

BURST = 10_000_000


def test_a_cell_runs_among_the_projects_files_and_the_server_can_manage_what_it_makes(
    studio: Studio, person: KernelClient
) -> None:
    root = studio.data_dir / "workspaces" / str(LOCAL_TENANT_ID)
    (root / "project").mkdir(exist_ok=True)
    (root / "project" / "from_server.txt").write_text("made by the server")
    kernel = person.kernel("project/a.ipynb")
    ran = person.run(
        kernel,
        "import os\nprint(os.getcwd())\nprint(open('from_server.txt').read())\n"
        "open('from_server.txt', 'a').write('!')\n"
        "os.makedirs('made/deep', mode=0o700); open('made/deep/file', 'w').write('x'); print(__session__)",
    )
    assert ran.error is None
    assert ran.stdout == "/workspace/project\nmade by the server\n/workspace/project/a.ipynb\n"
    assert (root / "project" / "from_server.txt").read_text() == "made by the server!"
    made = person.http.get("/api/contents/project/made/deep/file").json()
    assert made["content"] == "x"
    assert made["writable"]
    assert person.http.delete("/api/contents/project/made/deep/file").status_code == 204
    saved = {"type": "file", "format": "text", "content": "from Jupyter"}
    assert person.http.put("/api/contents/project/made/deep/new.txt", json=saved).status_code == 201
    assert person.run(kernel, "print(open('made/deep/new.txt').read())").stdout == "from Jupyter\n"


PROBES = {
    "a network": "import socket; socket.create_connection(('1.1.1.1', 53), 2)",
    "another interface": "import socket; assert len(socket.if_nameindex()) > 1",
    "a root file": "open('/etc/devstudio', 'w')",
    "a link": "import os; os.symlink('/etc', 'link')",
    "a link at": "import os; os.symlink('/etc', 'link', dir_fd=os.open('.', os.O_RDONLY))",
    "a link by another program": "import subprocess; subprocess.run(['ln', '-s', '/etc', 'link'], check=True)",
    "a link of 32 bits": "import subprocess; subprocess.run(['linux32', 'ln', '-s', '/etc', 'link'], check=True)",
    "its own sockets' folder": "import os; os.listdir('/run/devstudio')",
    "its own sockets": "import os; os.unlink('/run/devstudio/s-1')",
    "a socket in place of its own": "import os; os.rename('/run/devstudio/s-1', '/run/devstudio/s-9')",
    "the sign of life": "import os; os.utime('/run/devstudio/alive')",
    "pid 1's memory": "open('/proc/1/mem', 'rb').read(1)",
    "pid 1's files": "import os; os.listdir('/proc/1/fd')",
    "the folders above its own": "import os; assert len(os.listdir('/workspace/../..')) > 30",
    "a mount": "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "root": "import os; os.setuid(0)",
    "a device": "import os, stat; os.mknod('device', stat.S_IFCHR | 0o600, os.makedev(1, 1))",
    "another user's file": "import os; os.chown('owned', 0, 0)",
    "io_uring": "import ctypes; assert ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)) >= 0",
}


@pytest.fixture(scope="module")
def prober(studio: Studio) -> str:
    client = KernelClient(studio.url, f"token {studio.api.token}")
    try:
        return client.kernel("prober.ipynb")
    finally:
        client.close()


@pytest.fixture
def stays(studio: Studio) -> KernelClient:
    """Somebody whose sessions do not end with the test."""
    return KernelClient(studio.url, f"token {studio.api.token}")


@pytest.mark.parametrize("wanted", PROBES)
def test_a_cell_does_not_get(stays: KernelClient, prober: str, wanted: str) -> None:
    ran = stays.run(prober, f"open('owned', 'w').close()\n{PROBES[wanted]}\nprint('got it')")
    stays.close()
    assert ran.error is not None, f"{wanted}: {ran.stdout}"
    assert "got it" not in ran.stdout


def test_the_environment_has_nothing_of_the_servers(stays: KernelClient, prober: str) -> None:
    found = json.loads(stays.run(prober, "import os, json; print(json.dumps(dict(os.environ)))").stdout)
    stays.close()
    assert found["HOME"] == "/tmp"
    assert not [name for name in found if "TOKEN" in name or "DEVSTUDIO" in name or "DOCKER" in name or "KEY" in name]


def test_the_container_is_hardened_as_a_run_is(
    stays: KernelClient,
    prober: str,
    engine: docker.DockerClient,
    containers_of: Callable[[Path], set[str]],
    studio: Studio,
) -> None:
    stays.close()
    told = [engine.api.inspect_container(box) for box in containers_of(studio.data_dir)]
    assert told
    for one in told:
        config = one["HostConfig"]
        assert config["NetworkMode"] == "none"
        assert config["ReadonlyRootfs"]
        assert config["CapDrop"] == ["ALL"]
        assert config["SecurityOpt"] == ["no-new-privileges:true"]
        assert (config["Memory"], config["MemorySwap"], config["PidsLimit"]) == (512 << 20, 512 << 20, 256)
        assert config["Runtime"] == "runc"
        assert one["Config"]["User"].split(":")[0] not in {"", "0"}
        assert {mount["Destination"] for mount in one["Mounts"]} == {"/workspace", "/run/devstudio"}


def test_what_a_cell_asks_for_is_answered(person: KernelClient) -> None:
    kernel = person.kernel()
    with person.channels(kernel) as channels:
        assert channels.run("print('hello ' + input('name? '))", answer="Ana").stdout.endswith("hello Ana\n")


def test_an_interrupt_ends_the_cell_and_keeps_the_variables(person: KernelClient) -> None:
    kernel = person.kernel()
    with person.channels(kernel) as channels:
        channels.run("x = 1")
        cell = channels.execute("print('sleeping', flush=True)\nimport time; time.sleep(60)")
        interrupts: list[float] = []

        def interrupt(message: dict[str, object]) -> None:
            if message["msg_type"] == "stream" and not interrupts:
                interrupts.append(time.monotonic())
                threading.Thread(target=person.post, args=(f"/api/kernels/{kernel}/interrupt",)).start()

        ran = channels.follow(cell, on_message=interrupt)
        assert ran.error is not None
        assert ran.error["ename"] == "KeyboardInterrupt"
        assert time.monotonic() - interrupts[0] < 30
        assert channels.run("print(x)").stdout == "1\n"


def test_a_restart_forgets_the_variables_and_every_process(person: KernelClient) -> None:
    kernel = person.kernel()
    with person.channels(kernel) as channels:
        channels.run("x = 1; import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)")
        person.post(f"/api/kernels/{kernel}/restart")
        ran = channels.run(
            "import glob\nran = [open(path, 'rb').read() for path in glob.glob('/proc/[0-9]*/cmdline')]\n"
            "print('x' in globals(), sum(b'sleep' in line for line in ran))"
        )
    assert ran.stdout == "False 0\n"


def test_a_cell_sent_right_after_a_restart_is_heard(person: KernelClient) -> None:
    kernel = person.kernel()
    with person.channels(kernel) as channels:
        for number in range(10):  # one in seven was lost
            person.post(f"/api/kernels/{kernel}/restart")
            assert channels.run(f"print({number})").stdout == f"{number}\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("held = [bytearray(50_000_000) for _ in range(100)]", "ran out of memory: it may use 512 MiB"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("import os; os._exit(3)", "exit code 3"),
    ],
)
def test_a_kernel_that_dies_says_why_in_its_cell_and_starts_again(person: KernelClient, code: str, reason: str) -> None:
    kernel = person.kernel()
    with person.channels(kernel) as channels:
        began = time.monotonic()
        ran = channels.follow(channels.execute(code))
        assert reason in ran.stderr
        assert ran.states == ["restarting"]
        assert time.monotonic() - began < 60
        assert reason in person.http.get(f"/api/kernels/{kernel}").json()["reason"]
        assert channels.run("print('again')").stdout == "again\n"


def test_a_browser_that_comes_back_to_a_kernel_that_died_is_not_told_that_it_is_busy(person: KernelClient) -> None:
    kernel, session = person.kernel("busy.ipynb"), uuid4().hex
    with person.channels(kernel, session) as channels:
        assert channels.follow(channels.execute("import os; os._exit(3)")).states == ["restarting"]
    with person.channels(kernel, session) as channels:  # as JupyterLab does
        told = next(message for message in channels.messages() if not message["parent_header"])
        assert told["content"] == {"execution_state": "idle"}
        assert channels.run("print('again')").stdout == "again\n"


def test_shutdown_leaves_no_container_and_no_folder(
    person: KernelClient, studio: Studio, containers_of: Callable[[Path], set[str]]
) -> None:
    before = containers_of(studio.data_dir)
    kernel = person.kernel("gone.ipynb")
    assert len(containers_of(studio.data_dir) - before) == 1
    assert person.http.delete(f"/api/kernels/{kernel}").status_code == 204
    assert containers_of(studio.data_dir) == before
    assert not list((studio.data_dir / "jupyter").glob(f"*/kernels/{kernel}.json"))


def test_a_burst_arrives_whole(person: KernelClient) -> None:
    kernel = person.kernel()
    code = f"line = 'ä%06d' + 'x' * 92\nfor number in range({BURST // 100}): print(line % number)"
    ran = person.run(kernel, code)
    assert ran.stdout == "".join(f"ä{number:06d}{'x' * 92}\n" for number in range(BURST // 100))
    assert ran.stderr == ""


def test_many_small_outputs_arrive_each(person: KernelClient) -> None:
    kernel = person.kernel()
    ran = person.run(kernel, "for number in range(3000): display({'text/plain': str(number)}, raw=True)")
    assert [one["text/plain"] for one in ran.results] == [str(number) for number in range(3000)]


def test_bytes_of_programs_are_decoded_whole(person: KernelClient) -> None:
    kernel = person.kernel()
    ran = person.run(
        kernel,
        "import subprocess\nsubprocess.run(['python3', '-c', \"print('é€😀' * 100_000)\"])\n"
        "import time; time.sleep(0.5)",
    )
    assert ran.stdout == "é€😀" * 100_000 + "\n"


def memory_of(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def test_a_slow_reader_slows_the_kernel_down_and_loses_nothing(person: KernelClient, studio: Studio) -> None:
    kernel, lines = person.kernel(), 600_000
    before = memory_of(studio.process.pid)
    with person.channels(kernel, max_queue=2) as channels:
        cell = channels.execute(
            f"import os\nline = '%09d' + 'x' * 90\nfor number in range({lines}):\n    print(line % number)\n"
            "    if number % 10_000 == 0: open('progress', 'w').write(str(number))\nopen('progress', 'w').write('done')"
        )
        progress = studio.data_dir / "workspaces" / str(LOCAL_TENANT_ID) / "progress"
        seen: list[str] = []

        def stands_still() -> bool:
            time.sleep(1)
            seen.append(progress.read_text() if progress.exists() else "")
            return len(seen) > 3 and seen[-1] != "" and len(set(seen[-3:])) == 1

        until(stands_still, "a kernel that waits for its reader")
        assert seen[-1] != "done", "nobody read, so 60 MB must be on their way"
        ran = channels.follow(cell)
    assert ran.stdout == "".join(f"{number:09d}{'x' * 90}\n" for number in range(lines))
    assert memory_of(studio.process.pid) - before < 64 << 20, "the server keeps a bounded part of it"
    assert progress.read_text() == "done"


def test_what_is_said_while_the_browser_is_away_comes_when_it_is_back(person: KernelClient) -> None:
    kernel, session = person.kernel(), os.urandom(8).hex()
    with person.channels(kernel, session) as channels:
        channels.run("import time")
        cell = channels.execute("for number in range(500_000): print('%099d' % number)")
        next(message for message in channels.messages() if message["msg_type"] == "stream")
    time.sleep(3)
    with person.channels(kernel, session) as channels:
        ran = channels.follow(cell)
    numbers = [int(line) for line in ran.stdout.splitlines()[1:]]  # the first may be the end of a line that came before
    assert len(ran.stdout) > 40_000_000, "more than what is kept for who is away"
    assert [pair for pair in pairwise(numbers) if pair[1] != pair[0] + 1] == [], "nothing is missing, and nothing twice"
    assert numbers[-1] == 499_999
