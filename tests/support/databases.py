"""Databases for tests, of either kind: migrated once, copied for each test, and used as the server's own role."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from devstudio_server.db import create_engine
from devstudio_server.db.migrate import migrate
from support.services import Postgres

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")


def unrestricted(engine: Engine) -> Engine:
    """Return another engine of the same database that no policy holds back; dispose of it."""
    if engine.dialect.name == "sqlite":
        return create_engine(engine.url.render_as_string(hide_password=False))
    return create_engine(engine.url.set(username="postgres").render_as_string(hide_password=False))


@dataclass(frozen=True)
class Database:
    """One database. ``owner_url`` is another than ``url`` on PostgreSQL, where the server owns nothing."""

    kind: Kind
    url: str
    owner_url: str

    def engine(self) -> Engine:
        """Return an engine as the server has it."""
        return create_engine(self.url)

    def owner(self) -> Engine:
        """Return an engine of who may change the schema."""
        return create_engine(self.owner_url)

    def environment(self) -> dict[str, str]:
        """Return the environment in which the server uses this database."""
        if self.kind == "sqlite":
            return {"DEVSTUDIO_DATABASE_URL": self.url}
        return {"DEVSTUDIO_DATABASE_URL": self.url, "DEVSTUDIO_DATABASE_OWNER_URL": self.owner_url}


class Databases:
    """Makes databases of one kind with the newest schema and no rows."""

    def __init__(self, kind: Kind, folder: Path, postgres: Postgres | None = None) -> None:
        """Keep the template of SQLite in ``folder``; ``postgres`` is the cluster for the other kind."""
        self.kind: Kind = kind
        self._template = folder / "template.db"
        self._postgres = postgres
        self._free: list[str] = []

    @contextmanager
    def fresh(self, path: Path) -> Iterator[Database]:
        """Give a database without rows, on SQLite the file ``path``; on PostgreSQL it is used again afterwards."""
        if self._postgres is None:
            yield self._sqlite(path)
            return
        name = self._free.pop() if self._free else self._postgres.database()
        yield Database("postgresql", self._postgres.app_url(name), self._postgres.owner_url(name))
        self._postgres.empty(name)
        self._free.append(name)

    @contextmanager
    def empty(self, path: Path) -> Iterator[Database]:
        """Make a database that was never migrated, on SQLite the file ``path``."""
        if self._postgres is None:
            yield Database("sqlite", f"sqlite:///{path}", f"sqlite:///{path}")
            return
        name = self._postgres.empty_database()
        yield Database("postgresql", self._postgres.app_url(name), self._postgres.owner_url(name))
        self._postgres.drop(name)

    def _sqlite(self, path: Path) -> Database:
        if not self._template.exists():
            engine = create_engine(f"sqlite:///{self._template}")
            migrate(engine)
            engine.dispose()
        shutil.copyfile(self._template, path)
        return Database("sqlite", f"sqlite:///{path}", f"sqlite:///{path}")
