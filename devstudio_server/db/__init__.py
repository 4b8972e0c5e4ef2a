"""The database: engine, unit of work, tenant scope, and the base that every table stands on."""

from devstudio_server.db.base import Base, TenantRow, VersionedRow, check_version
from devstudio_server.db.changes import Change, Recorder
from devstudio_server.db.engine import create_engine
from devstudio_server.db.paging import newest_first
from devstudio_server.db.scope import SYSTEM_TENANT_ID, Actor, acting, current_actor, set_current_actor
from devstudio_server.db.unit_of_work import DatabaseUnavailable, Units, actor_of, after_commit

__all__ = [
    "SYSTEM_TENANT_ID",
    "Actor",
    "Base",
    "Change",
    "DatabaseUnavailable",
    "Recorder",
    "TenantRow",
    "Units",
    "VersionedRow",
    "acting",
    "actor_of",
    "after_commit",
    "check_version",
    "create_engine",
    "current_actor",
    "newest_first",
    "set_current_actor",
]
