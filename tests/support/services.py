"""PostgreSQL and Redis from Debian's packages: started on free ports with their own data folders, and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg
import redis
from sqlalchemy import Engine

from devstudio_server.db import create_engine
from devstudio_server.db.engine import SCHEMA
from devstudio_server.db.migrate import migrate
from devstudio_server.db.roles import DEFAULT_ROLE, grant
from support.studio import free_port

OWNER = "devstudio_owner"
PASSWORD = "local-test"
START_S = 30.0


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, which Debian keeps off PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, f"{name} is not installed; `python tests/support/system_parts.py` installs it"
    return path


def unprivileged() -> list[str]:
    """Return the start of a command that does not run as root: PostgreSQL refuses to."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


class Postgres:
    """A PostgreSQL cluster. Databases are made by the superuser for an owner; the server's own role owns nothing."""

    def __init__(self, network: str = "") -> None:
        """Prepare a cluster in a temporary folder. Besides this host, those of ``network`` may reach it."""
        self.network = network
        self.folder = Path(tempfile.mkdtemp(prefix="devstudio-postgres-"))
        self.port = free_port()
        self._made = 0
        self._template = ""
        if unprivileged():
            shutil.chown(self.folder, "postgres", "postgres")

    def __enter__(self) -> Self:
        """Make the cluster, its roles, and start it."""
        data = self.folder / "data"
        run = [*unprivileged(), binary("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run([*run, "-E", "UTF8", "--locale=C.UTF-8"], check=True, capture_output=True, cwd="/")
        if self.network:
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self.network} trust\n")
        self.start()
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE ROLE {DEFAULT_ROLE} LOGIN PASSWORD '{PASSWORD}'")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the cluster and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the cluster and wait until it answers."""
        settings = {
            "port": self.port,
            "unix_socket_directories": self.folder,
            "listen_addresses": "*" if self.network else "127.0.0.1",
        }
        options = [f"--{name}={value}" for name, value in settings.items()] + ["--max_connections=300"]
        # It ends with the tests, even when those are killed.
        guarded = [*(unprivileged() or ["setpriv"]), "--pdeathsig=INT"]
        command = [*guarded, binary("postgres"), "-D", str(self.folder / "data"), *options]
        with (self.folder / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url("postgres", "postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "postgres.log").read_text()
                assert self.process.poll() is None, (self.folder / "postgres.log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the cluster: SIGINT ends it cleanly, SIGQUIT as a crash would, with recovery at the next start."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)

    def start_again(self) -> None:
        """Start the cluster after a crash: backends of a killed postmaster need a moment to notice, and to end."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.start()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def url(self, database: str, role: str) -> str:
        """Return the URL of a database for ``role``."""
        return f"postgresql://{role}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def app_url(self, database: str) -> str:
        """Return the URL of a database as the server uses it."""
        return self.url(database, DEFAULT_ROLE)

    def owner_url(self, database: str) -> str:
        """Return the URL of a database for migrations."""
        return self.url(database, OWNER)

    def empty_database(self, template: str = "template0") -> str:
        """Make a database that the owner owns, and return its name."""
        self._made += 1
        name = f"test_{self._made}"
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY file_copy")
        return name

    def database(self) -> str:
        """Make a database with the newest schema, ready for the server's role, and return its name."""
        if not self._template:
            self._template = self.empty_database()
            owner = self.owner(self._template)
            migrate(owner)
            grant(owner, DEFAULT_ROLE)
            owner.dispose()
        return self.empty_database(self._template)

    def owner(self, database: str) -> Engine:
        """Return an engine of the schema's owner."""
        return create_engine(self.owner_url(database))

    def empty(self, database: str) -> None:
        """Remove every row of a migrated database, whoever is connected: much faster than another database."""
        with psycopg.connect(self.url(database, "postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            tables = connection.execute(
                f"SELECT relname FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'r'"
                " AND relname LIKE 'ds\\_%'"
            ).fetchall()
            removals = "; ".join(f"DELETE FROM {SCHEMA}.{table}" for (table,) in tables)
            # As a replica: no trigger keeps the audit, no foreign key asks for an order.
            connection.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {removals}; COMMIT")

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


class RedisServer:
    """A Redis server that keeps nothing on disk."""

    def __init__(self) -> None:
        """Prepare a server."""
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed; `python tests/support/system_parts.py` installs it"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        guarded = ["setpriv", "--pdeathsig=TERM", program]
        self.process = subprocess.Popen([*guarded, *options], stdout=subprocess.DEVNULL, cwd="/tmp")
        deadline = time.monotonic() + START_S
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, "redis-server does not answer"
                    time.sleep(0.02)
                else:
                    return

    def stop(self) -> None:
        """Kill the server: it has nothing to save."""
        self.process.kill()
        self.process.wait(10)
