"""What holds a container in: as the engine tells it, and as it looks from the inside."""

import time
from collections.abc import Iterator
from uuid import UUID

import docker
import pytest
from sandbox_kit import TENANT, Open, python, run, spec

from devstudio_sandbox import (
    ArchiveEntry,
    Command,
    ImageMissing,
    Limits,
    Sandbox,
    SandboxLost,
    SandboxUnavailable,
    WorkspaceRejected,
    choose_backend,
    pack,
)
from devstudio_sandbox.docker_backend import DockerBackend
from devstudio_sandbox.docker_host import read_engine
from devstudio_sandbox.identity import FIRST_UID, REMAPPED_FIRST_UID, tenant_uid

MIB = 1024 * 1024


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    """Give the engine's own API."""
    client = docker.APIClient()
    yield client
    client.close()


def test_every_setting_that_holds_it_in_is_set(container: Open, engine: docker.APIClient) -> None:
    told = engine.inspect_container(container().handle)
    host, config = told["HostConfig"], told["Config"]
    uid = tenant_uid(TENANT)
    expected = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],  # and so the default seccomp profile
        "PidsLimit": 128,
        "Memory": 2048 * MIB,
        "MemorySwap": 2048 * MIB,
        "NanoCpus": 1_000_000_000,
        "IpcMode": "private",
        "AutoRemove": False,
        "Init": False,
        "Privileged": False,
        "LogConfig": {"Type": "none", "Config": {}},
        "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
    }
    assert {name: host[name] for name in expected} == expected
    nothing = ("Binds", "Mounts", "CapAdd", "Devices", "VolumesFrom", "GroupAdd", "ExtraHosts", "Links", "PortBindings")
    assert {name: host.get(name) or None for name in nothing} == dict.fromkeys(nothing)
    assert [host[name] for name in ("PidMode", "UTSMode", "UsernsMode", "CgroupParent")] == [""] * 4
    limits = {entry["Name"]: (entry["Soft"], entry["Hard"]) for entry in host["Ulimits"]}
    assert limits == {"nofile": (1024, 1024), "core": (0, 0)}
    owned = f"uid={uid},gid={uid},mode=0700"
    assert host["Tmpfs"] == {
        "/workspace": f"rw,nosuid,nodev,size={512 * MIB},{owned},exec,nr_inodes=100001",
        "/tmp": f"rw,nosuid,nodev,size={100 * MIB},{owned},noexec",
    }
    assert told["Mounts"] == []
    assert (config["User"], config["Hostname"]) == (f"{uid}:{uid}", "sandbox")
    assert (config["StdinOnce"], config["Tty"]) == (True, False)


def test_labels_say_whose_it_is(docker_backend: DockerBackend, engine: docker.APIClient) -> None:
    wanted = spec(ttl_s=77)
    with docker_backend.open(wanted) as sandbox:
        labels = engine.inspect_container(sandbox.handle)["Config"]["Labels"]
    assert labels["renum.devstudio.run"] == str(wanted.run_id)
    assert labels["renum.devstudio.tenant"] == str(TENANT)
    assert labels["renum.devstudio.ttl"] == "77"
    assert abs(int(labels["renum.devstudio.created"]) - time.time()) < 60


def test_from_the_inside_it_is_nobody_in_particular(container: Open) -> None:
    _, output = run(
        container(), "grep", "-E", "^(Uid|Gid|Groups|CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):", "/proc/self/status"
    )
    told = {name: values.split() for name, values in (line.split(":") for line in output.stdout.decode().splitlines())}
    uid = str(tenant_uid(TENANT))
    assert told["Uid"] == told["Gid"] == [uid] * 4
    assert told["Groups"] in ([], [uid])
    assert {*told["CapEff"], *told["CapPrm"], *told["CapBnd"]} == {"0" * 16}
    assert (told["NoNewPrivs"], told["Seccomp"]) == (["1"], ["2"])


def test_there_is_no_network(container: Open) -> None:
    script = """
import os, socket
print(sorted(os.listdir("/sys/class/net")))
for family, address in ((socket.AF_INET, ("1.1.1.1", 53)), (socket.AF_INET, ("169.254.169.254", 80))):
    with socket.socket(family) as s:
        s.settimeout(2)
        try:
            s.connect(address)
            print("connected", address)
        except OSError as problem:
            print(problem.strerror)
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    print("raw")
except OSError as problem:
    print(problem.strerror)
"""
    _, output = python(container(), script)
    assert output.stdout.decode().splitlines() == ["['lo']", *["Network is unreachable"] * 2, "Operation not permitted"]


@pytest.mark.parametrize(
    "place", ["/", "/etc", "/usr/local/bin", "/opt/devstudio", "/var/tmp", "/root", "/home", "/proc/sys/kernel"]
)
def test_nothing_but_the_scratch_places_can_be_written(container: Open, place: str) -> None:
    done, output = run(container(), "sh", "-c", f"echo x > {place}/probe")
    assert done.exit_code != 0
    assert b"probe" in output.stderr


def test_tmp_runs_no_programs_and_the_workspace_does(container: Open) -> None:
    sandbox = container()
    make = "printf '#!/bin/sh\\necho ran\\n' > {0}/p && chmod 755 {0}/p && {0}/p"
    assert run(sandbox, "sh", "-c", make.format("/workspace"))[1].stdout == b"ran\n"
    done, output = run(sandbox, "sh", "-c", make.format("/tmp"))
    assert done.exit_code == 126
    assert b"ermission denied" in output.stderr


def test_the_workspace_is_full_when_it_is_full(container: Open) -> None:
    sandbox = container(Limits(workspace_bytes=8 * MIB, workspace_files=50, tmp_bytes=4 * MIB))
    for place, size in (("/workspace", 8), ("/tmp", 4)):
        _, output = run(
            sandbox, "sh", "-c", f"head -c 64M /dev/zero > {place}/big; wc -c < {place}/big; rm {place}/big"
        )
        assert b"No space left" in output.stderr
        assert 0 < int(output.stdout) <= size * MIB
    _, output = run(sandbox, "sh", "-c", "for i in $(seq 200); do touch f$i || break; done; ls | wc -l; rm -f f*")
    assert 40 <= int(output.stdout) <= 50
    run(sandbox, "sh", "-c", "head -c 7M /dev/zero > rest")
    with pytest.raises(WorkspaceRejected, match="full"):
        sandbox.put(pack([ArchiveEntry("more", bytes(3 * MIB))]))


def test_a_fork_bomb_stops_at_the_pids_limit(container: Open) -> None:
    bombed, neighbour = container(Limits(pids=40)), container()
    script = """
import os, time
born = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(3600)
        born += 1
    except BlockingIOError:
        print(born, flush=True)
        break
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
    began = time.monotonic()
    done, output = python(bombed, script, deadline_s=2)
    assert done.timed_out
    assert 30 <= int(output.stdout.split()[0]) <= 40
    assert run(neighbour, "echo", "unharmed")[1].stdout == b"unharmed\n"
    assert run(bombed, "echo", "swept")[1].stdout == b"swept\n"
    assert time.monotonic() - began < 10


def test_a_memory_bomb_is_killed_and_told(container: Open) -> None:
    sandbox = container(Limits(memory_bytes=100 * MIB))
    done, _ = python(sandbox, "blocks = []\nwhile True: blocks.append(bytearray(5_000_000))")
    assert (done.exit_code, done.signal, done.oom_killed, done.timed_out) == (137, 9, True, False)
    after, output = run(sandbox, "echo", "supervisor lives")
    assert output.stdout == b"supervisor lives\n"
    assert not after.oom_killed


def test_files_in_scratch_places_count_as_memory(container: Open) -> None:
    """However they are filled, the supervisor has room to tell the end."""
    sandbox = container(Limits(memory_bytes=64 * MIB, workspace_bytes=512 * MIB))
    done, _ = run(
        sandbox, "sh", "-c", "for place in /workspace /tmp /dev/shm; do head -c 200M /dev/zero > $place/big; done"
    )
    assert done.exit_code != 0
    _, output = run(sandbox, "sh", "-c", "wc -c < /workspace/big")
    assert 0 < int(output.stdout) <= 32 * MIB


def test_open_files_are_bounded(container: Open) -> None:
    script = "import os\ntry:\n  while True: last = os.dup(0)\nexcept OSError as e: print(last, e.strerror)"
    _, output = python(container(Limits(open_files=64)), script)
    assert output.stdout == b"63 Too many open files\n"


def test_cpu_is_bounded(container: Open) -> None:
    burn = "import os,time\nfor _ in range(2): os.fork()\nend=time.monotonic()+1.5\nwhile time.monotonic()<end: pass"
    done, _ = python(container(Limits(cpus=0.5)), burn)
    assert done.cpu_s / done.duration_s < 0.75


def test_host_and_other_containers_cannot_be_seen(container: Open) -> None:
    one, other = container(), container()
    one.put(pack([ArchiveEntry("secret", b"one's own")]))
    assert other.get("secret", 100) is None
    _, output = run(
        other, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; cat /proc/self/mountinfo; ls /var/run /run"
    )
    assert b"dockerd" not in output.stdout
    assert b"docker.sock" not in output.stdout


def test_a_container_that_is_removed_is_told_as_lost(container: Open, engine: docker.APIClient) -> None:
    sandbox = container()

    def remove(*_: object) -> None:
        engine.remove_container(sandbox.handle, force=True)

    with pytest.raises(SandboxLost, match="run it again"):
        sandbox.run(Command(("sh", "-c", "echo up; sleep 3600")), remove)


def test_the_container_ends_with_its_owner(container: Open, engine: docker.APIClient) -> None:
    sandbox: Sandbox = container()
    sandbox._channel._transport.close()  # type: ignore[attr-defined]
    assert engine.wait(sandbox.handle, timeout=10)["StatusCode"] == 0


def test_a_missing_image_says_how_to_get_it() -> None:
    backend = DockerBackend(images={"python": "renum-devstudio-no-such-image:latest"})
    status = backend.status()
    assert status.available
    assert "make sandbox-image" in status.hint
    with pytest.raises(ImageMissing, match="make sandbox-image"):
        backend.open(spec())
    backend.close()


@pytest.mark.parametrize("host", ["unix:///no/such/docker.sock", "tcp://127.0.0.1:1"])
def test_no_engine_is_told_quickly(host: str) -> None:
    began = time.monotonic()
    backend = DockerBackend(host)
    status = backend.status()
    assert not status.available
    assert "dockerd" in status.hint
    with pytest.raises(SandboxUnavailable, match="DOCKER_HOST"):
        backend.open(spec())
    with pytest.raises(SandboxUnavailable):
        backend.reap()
    assert time.monotonic() - began < 5


def test_the_choice_is_the_strongest_that_works() -> None:
    nowhere = "unix:///no/such/docker.sock"
    assert choose_backend(runtime="runc").name == "docker"
    assert choose_backend(docker_host=nowhere).name == "bubblewrap"
    assert choose_backend("bubblewrap").name == "bubblewrap"
    assert choose_backend("process", allow_process=True).name == "process"
    with pytest.raises(SandboxUnavailable, match="allow_process"):
        choose_backend("process")
    with pytest.raises(SandboxUnavailable, match="no Docker engine answers"):
        choose_backend("docker", docker_host=nowhere, allow_process=True)


def test_nothing_works_without_an_engine_and_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    nowhere = "unix:///no/such/docker.sock"
    with pytest.raises(SandboxUnavailable, match="apt install bubblewrap"):
        choose_backend(docker_host=nowhere)
    assert choose_backend(docker_host=nowhere, allow_process=True).name == "process"


def test_gvisor_is_taken_when_the_engine_has_it() -> None:
    plain = read_engine({"ServerVersion": "20.10", "Runtimes": {"runc": {}}})
    assert (plain.isolation, plain.runtime, plain.remapped) == ("container", None, False)
    strong = read_engine({"Runtimes": {"runc": {}, "runsc": {}}, "SecurityOptions": ["name=seccomp", "name=rootless"]})
    assert (strong.isolation, strong.runtime, strong.remapped) == ("gvisor", "runsc", True)


def test_tenants_have_uids_of_their_own() -> None:
    uids = {tenant_uid(UUID(int=number)) for number in range(1000)}
    assert len(uids) == 1000
    assert min(uids) >= FIRST_UID
    assert max(uids) < 2**31
    assert tenant_uid(UUID(int=5)) == tenant_uid(UUID(int=5))
    assert REMAPPED_FIRST_UID <= tenant_uid(UUID(int=5), remapped=True) < 65_536
