"""The server ends when it is asked to, also while it writes its log: a supervisor would otherwise have to kill it."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from support.studio import TOKEN, Studio

STOPS = 2
STOP_S = 30.0


def keep_busy(studio: Studio, stop: threading.Event) -> None:
    """Send requests, each of which is a line of the log, until the server is gone."""
    with httpx.Client(headers={"Authorization": f"token {TOKEN}"}, trust_env=False) as client:
        while not stop.is_set():
            try:
                client.get(f"{studio.url}/api/v1/health/live")
            except httpx.TransportError:
                return


@pytest.mark.parametrize("turn", range(STOPS))
def test_sigterm_ends_a_busy_server(tmp_path: Path, turn: int) -> None:
    studio = Studio(tmp_path / "data")
    studio.start()
    done = threading.Event()
    clients = [threading.Thread(target=keep_busy, args=(studio, done)) for _ in range(4)]
    for client in clients:
        client.start()
    done.wait(0.3 + turn / 7)
    studio.process.send_signal(signal.SIGTERM)
    try:
        studio.process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the server goes on after SIGTERM:\n{studio.log[-2000:]}")
    finally:
        done.set()
        studio.kill()
        studio.api.close()
    for client in clients:
        client.join(STOP_S)
    assert "reentrant call" not in studio.log
    assert studio.process.returncode == 0
