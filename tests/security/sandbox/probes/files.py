"""Files that are not the sandbox's own."""

import os
import subprocess
from pathlib import Path

from probes.harness import BAIT, first, probe

TOOLS = "/opt/devstudio/supervisor"


def writes(place: str) -> str:
    """Make a file and remove it."""
    path = Path(place, "escaped")
    path.write_text("x", encoding="ascii")
    path.unlink()
    return f"wrote {place}"


@probe("files", "privileged")
def change_the_image() -> str | None:
    """Write where programs and their settings are."""
    places = ("/", "/etc", "/usr/bin", "/usr/local/bin", "/usr/lib", "/root", "/home", "/var/tmp", "/run", "/opt")
    return first([lambda place=place: writes(place) for place in places])  # type: ignore[misc]


@probe("files", "privileged")
def change_the_supervisor() -> str | None:
    """Change the code of the supervisor and of the plugin that judges."""

    def changes(path: Path) -> str:
        os.close(os.open(path, os.O_WRONLY))
        return f"opened {path}"

    return first([lambda path=path: changes(path) for path in Path(TOOLS).parent.rglob("*.py")])  # type: ignore[misc]


@probe("files", "privileged")
def change_it_by_its_mode() -> str | None:
    """Make that code writable first, or one's own."""
    path = Path(TOOLS, "main.py")
    return first([lambda: str(path.chmod(0o646) or "mode"), lambda: str(os.chown(path, os.getuid(), -1) or "owner")])


@probe("files", "privileged")
def program_in_shared_memory() -> str | None:
    """Start a program from /dev/shm that was never in the workspace: it has no quota of files."""
    return starts("/dev/shm/program", "/dev/shm")


@probe("files", "privileged")
def program_in_tmp() -> str | None:
    """Start a program from /tmp."""
    return starts("/tmp/program", "/tmp")


def starts(path: str, place: str) -> str | None:
    """Copy a program and run it."""
    if os.geteuid() == 0:  # only the weak container's root: the place may be as strict there
        subprocess.run(["mount", "-o", "remount,exec", place], capture_output=True, check=False)
    Path(path).write_bytes(Path("/bin/true").read_bytes())
    Path(path).chmod(0o755)
    return "ran" if subprocess.run([path], check=False).returncode == 0 else None


@probe("files", "shared")
def file_of_the_host() -> str | None:
    """A file that the test laid out on the host."""
    return "read" if BAIT["canary"] in Path(BAIT["host_file"]).read_text() else None


@probe("files", "shared")
def link_to_the_host() -> str | None:
    """The same through a link in the workspace, which the host might resolve."""
    link = Path("link-out")
    link.unlink(missing_ok=True)
    link.symlink_to(BAIT["host_file"])
    return "read" if BAIT["canary"] in link.read_text() else None


@probe("files", "shared")
def hard_link_to_the_host() -> str | None:
    """The same by a hard link."""
    Path(BAIT["host_file"] + ".linked").unlink(missing_ok=True)
    os.link(BAIT["host_file"], BAIT["host_file"] + ".linked")
    return "linked"


@probe("files", "privileged")
def passwords_of_the_image() -> str | None:
    """/etc/shadow, and keys of root."""
    return first([lambda: str(len(Path("/etc/shadow").read_bytes())), lambda: str(list(Path("/root/.ssh").iterdir()))])
