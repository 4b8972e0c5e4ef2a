"""What bubblewrap holds in, seen from the inside."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sandbox_kit import TENANT, python, run, spec

from devstudio_sandbox import Limits, Sandbox
from devstudio_sandbox.bubblewrap_backend import BubblewrapBackend, is_toolchain
from devstudio_sandbox.host import run_of
from devstudio_sandbox.identity import tenant_uid

MIB = 1024 * 1024


@pytest.fixture
def wrapped() -> Iterator[Sandbox]:
    """Give a sandbox by bubblewrap with small scratch places."""
    with BubblewrapBackend().open(spec(limits=Limits(workspace_bytes=8 * MIB, tmp_bytes=4 * MIB))) as sandbox:
        yield sandbox


def test_it_is_nobody_in_particular(wrapped: Sandbox) -> None:
    _, output = run(wrapped, "grep", "-E", "^(Uid|CapEff|CapPrm|NoNewPrivs):", "/proc/self/status")
    told = {name: values.split() for name, values in (line.split(":") for line in output.stdout.decode().splitlines())}
    assert told["Uid"] == [str(tenant_uid(TENANT))] * 4
    assert {*told["CapEff"], *told["CapPrm"]} == {"0" * 16}
    assert told["NoNewPrivs"] == ["1"]


def test_nothing_of_the_host_shows(wrapped: Sandbox) -> None:
    secret = Path.home() / f".devstudio-canary-{uuid4().hex}"
    secret.write_text("canary")
    try:
        done, _ = run(wrapped, "cat", str(secret))
        assert done.exit_code != 0
    finally:
        secret.unlink()
    _, output = run(
        wrapped, "sh", "-c", "cat /etc/passwd; ls /; ls -d /proc/[0-9]* | wc -l; ls /sys/class/net /work /var /run"
    )
    text = output.stdout.decode()
    assert "root" not in text.splitlines()[0]
    tools = {Path(prefix).parts[1] for prefix in (sys.prefix, sys.base_prefix)}  # where this interpreter lies does show
    assert ({"work", "var", "run", "sys"} - tools).isdisjoint(text.split())
    assert any(line.isdigit() and int(line) < 8 for line in text.splitlines())


def test_there_is_no_network(wrapped: Sandbox) -> None:
    script = "import socket\ntry: socket.create_connection(('1.1.1.1', 53), 2)\nexcept OSError as e: print(e.strerror)"
    assert python(wrapped, script)[1].stdout == b"Network is unreachable\n"


@pytest.mark.parametrize("place", ["/", "/usr", "/etc", "/opt/devstudio", "/dev", "/proc/sys/kernel"])
def test_nothing_but_the_scratch_places_can_be_written(wrapped: Sandbox, place: str) -> None:
    done, _ = run(wrapped, "sh", "-c", f"echo x > {place}/probe")
    assert done.exit_code != 0


def test_the_scratch_places_are_sized(wrapped: Sandbox) -> None:
    fill = "cd {0}; for n in 1 2 3; do head -c 7M /dev/zero > $n; done; cat 1 2 3 | wc -c"
    for place, size in (("/workspace", 8), ("/tmp", 4), ("/dev/shm", 4)):
        _, output = run(wrapped, "sh", "-c", fill.format(place))
        assert b"No space left" in output.stderr
        assert 0 < int(output.stdout) <= size * MIB


def test_close_ends_the_inside_even_when_the_outside_was_killed() -> None:
    wanted = spec()
    with BubblewrapBackend().open(wanted) as sandbox:
        os.kill(int(sandbox.handle), signal.SIGKILL)
    assert wanted.run_id not in {run_of(path.name) for path in Path("/proc").glob("[0-9]*")}


def test_a_home_is_never_taken_for_a_toolchain() -> None:
    home = Path.home()
    assert not is_toolchain(home)
    assert not is_toolchain(home.parent)
    assert not is_toolchain(Path("/"))
    assert not is_toolchain(Path("/usr"))
    assert is_toolchain(home / ".nvm/versions/node/v24")
