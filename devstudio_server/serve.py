"""Serve the studio: what ``devstudio serve``, ``python -m devstudio_server.serve`` and ``make run`` do."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
MAX_PORT = 65535


def main(*more: str) -> int:
    """Check that the port is free, then become `jupyter lab` with the arguments ``more``.

    Returns an exit code only when the port cannot be used.
    """
    port = os.environ.get("PORT", "8000")
    problem = port_problem(port)
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    command = [sys.executable, "-m", "jupyterlab", *_config_flag(), f"--ServerApp.port={port}", *_root_flag(), *more]
    team = os.environ.get("DEVSTUDIO_AUTH", "").strip() == "team"
    how = "People sign in with their own tokens." if team else "Jupyter prints the address with its token below."
    sys.stdout.write(f"RENUM DevStudio starts on port {port}. {how}\n")
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


def _config_flag() -> list[str]:
    """Name the checkout's configuration; that of a wheel is in ``etc/jupyter``, where Jupyter finds it by itself."""
    config = CHECKOUT / "jupyter_config.py"
    return [f"--config={config}"] if config.is_file() else []


def _root_flag() -> list[str]:
    """Jupyter refuses to run as root unless told; in a container or on a server, root is who one is."""
    return ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


if __name__ == "__main__":
    sys.exit(main())
