"""Serve the studio from a checkout: ``python -m devstudio_server.serve``, which is what ``make run`` calls."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


MAX_PORT = 65535


def main() -> int:
    """Check that the port is free, then become `jupyter lab`. Returns an exit code only when it does not."""
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


if __name__ == "__main__":
    sys.exit(main())
