"""The system parts that the tests need: found, or installed by apt where this is root on Debian, or named.

Run as ``python tests/support/system_parts.py``. Only the standard library, since it runs before anything else.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ENGINE_SOCKET = Path("/var/run/docker.sock")
ENGINE_START_S = 60
ENGINE_CONFIG = Path("/etc/docker/daemon.json")
GVISOR = {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=ptrace", "--network=none"]}
# For runs with egress: they may open the socket of their proxy, which is mounted into them.
GVISOR_EGRESS = {**GVISOR, "runtimeArgs": [*GVISOR["runtimeArgs"], "--host-uds=open"]}
"""ptrace, because nested machines have no KVM."""


@dataclass(frozen=True)
class Part:
    """A program that tests need, the Debian packages that have it, and what it is for."""

    program: str
    package: str
    purpose: str


PARTS = (
    Part("dockerd", "docker.io cgroupfs-mount", "the sandbox tests run real containers"),
    Part("runsc", "runsc", "the sandbox tests run gVisor, too"),
    Part("bwrap", "bubblewrap", "the sandbox tests run bubblewrap"),
    Part("mmdebstrap", "mmdebstrap", "the sandbox images are built from Debian's packages"),
    Part("chromium", "chromium", "the browser tests click through JupyterLab"),
    Part("postgres", "postgresql", "the tests of the database run on PostgreSQL, too"),
    Part("redis-server", "redis-server", "rate limits and wake-ups of a team go through Redis"),
)
# Debian asks the first before it starts a service, and the second before it makes a PostgreSQL cluster.
SERVICES_OFF = {
    Path("/usr/sbin/policy-rc.d"): "#!/bin/sh\nexit 101\n",
    Path("/etc/postgresql-common/createcluster.d/devstudio-tests.conf"): "create_main_cluster = false\n",
}
# Where Debian keeps programs that are not for everyone's PATH.
OTHER_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/sbin")


def missing_parts() -> list[Part]:
    """Return the parts that are not on this machine; an engine that answers needs no ``dockerd`` here."""
    answers = engine_answers()
    return [part for part in PARTS if not is_here(part.program) and not (part.program == "dockerd" and answers)]


def is_here(program: str) -> bool:
    """Tell whether ``program`` is installed, on PATH or where Debian keeps it."""
    return shutil.which(program) is not None or any(
        found.is_file() for folder in OTHER_FOLDERS for found in Path("/").glob(f"{folder[1:]}/{program}")
    )


@contextmanager
def services_stay_off() -> Iterator[None]:
    """While apt installs, let no package start a service or make a cluster: the tests start their own."""
    written: list[Path] = []
    for path, text in SERVICES_OFF.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
            written.append(path)
    try:
        yield
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def install(parts: list[Part]) -> None:
    """Install ``parts`` by apt; exits with a message when that is not possible here."""
    lines = "\n".join(f"  {part.program} (Debian: {part.package}): {part.purpose}" for part in parts)
    packages = [package for part in parts for package in part.package.split()]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"The tests need:\n{lines}\nInstall them, on Debian: sudo apt-get install {' '.join(packages)}")
    print(f"Installing by apt:\n{lines}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with services_stay_off():
        for command in (
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "-y", "install", "--no-install-recommends", *packages],
        ):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def engine_answers() -> bool:
    """Tell whether a Docker engine answers, at DOCKER_HOST or at the usual socket."""
    if os.environ.get("DOCKER_HOST"):
        return True  # said by the person; the tests tell when it does not answer
    request = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(ENGINE_SOCKET))
            connection.sendall(request)
            return b"200" in connection.recv(64)
        except OSError:
            return False


def mount_control_groups() -> None:
    """Mount the control groups where nothing has, as on a machine without systemd; the engine needs them."""
    program = shutil.which("cgroupfs-mount")
    if program is not None and not os.path.ismount("/sys/fs/cgroup"):
        subprocess.run([program], check=True)


def offer_gvisor() -> bool:
    """Name gVisor in the engine's configuration; tell whether that changed it."""
    config = json.loads(ENGINE_CONFIG.read_text()) if ENGINE_CONFIG.exists() else {}
    runtimes = config.setdefault("runtimes", {})
    wanted = {"runsc": GVISOR, "runsc-egress": GVISOR_EGRESS}
    if wanted.keys() <= runtimes.keys():
        return False
    config["runtimes"] = wanted | runtimes
    ENGINE_CONFIG.parent.mkdir(parents=True, exist_ok=True)
    ENGINE_CONFIG.write_text(json.dumps(config, indent=2) + "\n")
    return True


def start_engine() -> None:
    """Start ``dockerd`` when no engine answers, and wait until it does; one that runs reads its configuration anew."""
    changed = os.geteuid() == 0 and not os.environ.get("DOCKER_HOST") and offer_gvisor()
    if engine_answers():
        if changed:
            os.kill(int(Path("/var/run/docker.pid").read_text()), signal.SIGHUP)
        return
    if os.geteuid() != 0:
        sys.exit("No Docker engine answers, and only root can start one: sudo systemctl start docker")
    mount_control_groups()
    log_path = Path("/var/log/devstudio-dockerd.log")
    for stale in (Path("/var/run/docker.pid"), Path("/run/docker/containerd/containerd.pid")):
        stale.unlink(missing_ok=True)  # left by an engine that was killed with its machine
    with log_path.open("ab") as log:
        subprocess.Popen(["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + ENGINE_START_S
    while not engine_answers():
        if time.monotonic() > deadline:
            sys.exit(
                f"dockerd does not answer after {ENGINE_START_S} s:\n{log_path.read_text(errors='replace')[-3000:]}"
            )
        time.sleep(0.2)
    print("Started the Docker engine.", flush=True)


def main() -> None:
    """Make sure that everything is there and runs."""
    if os.geteuid() != 0:
        print("Some tests mount small disks to fill them, which only root can do; they will fail here.", flush=True)
    missing = missing_parts()
    if missing:
        install(missing)
    start_engine()


if __name__ == "__main__":
    main()
