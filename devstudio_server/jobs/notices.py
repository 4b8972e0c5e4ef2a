"""Word between processes on one PostgreSQL that a tenant has jobs: heard at once, and lost without harm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

import psycopg
from sqlalchemy import make_url

from devstudio_server.db.delivery import CHANNEL
from devstudio_server.db.engine import TCP
from devstudio_server.kit.logging import get_logger

AGAIN_S = 2.0
TURN_S = 1.0

_log = get_logger("jobs")


class Notices:
    """A thread that listens at the database. A pooler in transaction mode lets nothing through: then workers look."""

    def __init__(self, database_url: str, heard: Callable[[UUID], None]) -> None:
        """Call ``heard`` with the tenant of each job that any process enqueues."""
        self._url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._heard = heard
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="devstudio-notices", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * TURN_S)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, **TCP) as connection:
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._listen(connection)
            except psycopg.Error as error:
                _log.warning("notices_interrupted", reason=type(error).__name__)
                self._stopping.wait(AGAIN_S)

    def _listen(self, connection: psycopg.Connection) -> None:
        while not self._stopping.is_set():
            for notice in connection.notifies(timeout=TURN_S):
                try:
                    tenant_id = UUID(notice.payload)
                except ValueError:
                    continue  # not ours
                self._heard(tenant_id)
