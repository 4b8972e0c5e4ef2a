"""Serve the studio from a checkout: ``python -m devstudio_server.serve``, which is what ``make run`` calls."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


MAX_PORT = 65535


def main(arguments: list[str] | None = None) -> int:
    """Check that the port is free, then become `jupyter lab`. Returns an exit code only when it does not."""
    parser = argparse.ArgumentParser(prog="python -m devstudio_server.serve", description=__doc__)
    parser.add_argument("--link-for-development", action="store_true", help="link what a wheel would install, and end")
    if parser.parse_args(arguments).link_for_development:
        link_for_development(Path(sys.prefix))
        return 0
    port = os.environ.get("PORT", "8000")
    problem = port_problem(port)
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    config = CHECKOUT / "jupyter_config.py"
    command = [sys.executable, "-m", "jupyterlab", f"--config={config}", f"--ServerApp.port={port}", *_root_flag()]
    sys.stdout.write(f"RENUM DevStudio starts on port {port}. Jupyter prints the address with its token below.\n")
    sys.stdout.flush()
    return os.execv(sys.executable, command)  # noqa: S606 - no shell, and the program is this interpreter


def port_problem(port: str) -> str:
    """Return what is wrong with ``port``, or an empty text."""
    if not port.isdecimal() or not 1 <= int(port) <= MAX_PORT:
        return f"PORT is {port!r}; it takes a number from 1 to {MAX_PORT}."
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError as error:
            return (
                f"Port {port} cannot be used ({error.strerror}). Stop the program that has it, or choose another port: "
                f"PORT={int(port) % MAX_PORT + 1} make run"
            )
    return ""


def _root_flag() -> list[str]:
    """Jupyter refuses to run as root unless told; in a container or on a server, root is who one is."""
    return ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


def link_for_development(prefix: Path) -> None:
    """Link the lab extension and Jupyter's configuration into ``prefix``, as a wheel would install them."""
    links = {
        prefix / "share/jupyter/labextensions/@renum/devstudio": CHECKOUT / "devstudio_server/labextension",
        prefix / "etc/jupyter/jupyter_server_config.d/renum_devstudio.json": CHECKOUT
        / "jupyter-config/jupyter_server_config.d/renum_devstudio.json",
    }
    for link, target in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() or link.is_file():
            link.unlink()
        link.symlink_to(target)


if __name__ == "__main__":
    sys.exit(main())
