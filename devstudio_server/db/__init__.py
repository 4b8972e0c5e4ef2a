"""The database: engine, unit of work, tenant scope, and the base that every table stands on."""

from devstudio_server.db.base import Base, TenantRow, VersionedRow, check_version
from devstudio_server.db.engine import create_engine
from devstudio_server.db.paging import newest_first
from devstudio_server.db.scope import Actor
from devstudio_server.db.unit_of_work import Units, after_commit

__all__ = [
    "Actor",
    "Base",
    "TenantRow",
    "Units",
    "VersionedRow",
    "after_commit",
    "check_version",
    "create_engine",
    "newest_first",
]
