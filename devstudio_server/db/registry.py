"""Every table of the server, for migrations. Importing this module imports the models of every domain by name."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import MetaData

from devstudio_server.db.base import Base

DOMAINS_WITH_TABLES = (
    "ai",
    "audit",
    "auth",
    "ci",
    "db",
    "egress",
    "events",
    "execution",
    "jobs",
    "kv",
    "patches",
    "planning",
    "projects",
    "specs",
    "web",
)


def all_tables() -> MetaData:
    """Return the metadata with the tables of every domain."""
    for domain in DOMAINS_WITH_TABLES:
        import_module(f"devstudio_server.{domain}.models")
    return Base.metadata
