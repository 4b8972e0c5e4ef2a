"""Runs inside an image: prints as JSON which Debian, Python and npm packages are there, with versions and licences.

Standard library only, and no name of ours: the image has nothing else.
"""

import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

NODE_MODULES = ("/usr/local/lib", "/usr/lib/node_modules", "/usr/share/nodejs")
LONGEST_LICENCE = 100
DPKG = r"${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n"
CLASSIFIER = "License :: OSI Approved :: "


def debian() -> list[dict[str, Any]]:
    """List what dpkg has installed."""
    if shutil.which("dpkg-query") is None:
        return []
    told = subprocess.run(["dpkg-query", "-W", f"-f={DPKG}"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in told.splitlines()]
    return [
        {"kind": "deb", "name": name, "version": version, "arch": arch, "licences": debian_licences(name)}
        for status, name, version, arch in rows
        if status == "installed"
    ]


def debian_licences(package: str) -> list[str]:
    """Read the short names from a copyright file that a machine can read, else which common licences it points to."""
    try:
        text = Path("/usr/share/doc", package, "copyright").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    if text.startswith("Format:"):
        found = re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)
    else:
        found = [name.rstrip(".") for name in re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.+-]+)", text)]
    return sorted({name.strip() for name in found if len(name) < LONGEST_LICENCE})


def python() -> list[dict[str, Any]]:
    """List the distributions that Python finds."""
    found = []
    for one in importlib.metadata.distributions():
        told: Any = one.metadata
        licence = told["License-Expression"]
        classified = [c.removeprefix(CLASSIFIER) for c in told.get_all("Classifier") or () if c.startswith(CLASSIFIER)]
        free = [told["License"]] if told["License"] and len(told["License"]) < LONGEST_LICENCE else []
        licences = [licence] if licence else classified or free
        found.append({"kind": "pypi", "name": told["Name"], "version": one.version, "licences": sorted(licences)})
    return found


def npm() -> list[dict[str, Any]]:
    """List the packages in global folders of Node, and those inside them."""
    found = {}
    for folder in NODE_MODULES:
        for path in Path(folder).glob("**/node_modules/**/package.json"):
            parts = path.parts[len(path.parts) - path.parts[::-1].index("node_modules") : -1]
            if len(parts) != (2 if parts and parts[0].startswith("@") else 1):
                continue  # a folder inside a package, not the package
            told = json.loads(path.read_text(encoding="utf-8"))
            if "name" in told and "version" in told:
                found[told["name"], told["version"]] = npm_licences(told.get("license"))
    return [
        {"kind": "npm", "name": name, "version": version, "licences": found[name, version]} for name, version in found
    ]


def npm_licences(told: Any) -> list[str]:
    """Read a package's licence, also in its older form."""
    if isinstance(told, dict):
        told = told.get("type")
    return [told] if isinstance(told, str) and told else []


def runtimes() -> list[dict[str, Any]]:
    """Name Python and Node themselves, which need not come from a package."""
    found = [{"kind": "generic", "name": "python", "version": platform.python_version(), "licences": ["PSF-2.0"]}]
    if node := shutil.which("node"):
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        found.append({"kind": "generic", "name": "node", "version": version.strip().lstrip("v"), "licences": ["MIT"]})
    return found


def collect() -> list[dict[str, Any]]:
    """List everything, in an order that is always the same."""
    return sorted(
        [*debian(), *python(), *npm(), *runtimes()],
        key=lambda one: (one["kind"], one["name"], one["version"], one.get("arch", "")),
    )


if __name__ == "__main__":
    print(json.dumps(collect()))  # noqa: T201 - its output is its purpose
