"""The declarative base, and the columns that tables have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, DateTime, Dialect, Index, Integer, MetaData, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from devstudio_server.kit.clock import as_utc, now
from devstudio_server.kit.errors import PreconditionFailed
from devstudio_server.kit.ids import new_id


class UtcDateTime(TypeDecorator[datetime]):
    """A time that is always UTC and aware, on databases that keep no zone as well."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC before it is stored."""
        del dialect
        return None if value is None else as_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Mark as UTC what the database returns."""
        del dialect
        return None if value is None else as_utc(value)


JsonData = JSON().with_variant(JSONB(), "postgresql")


class Base(DeclarativeBase):
    """Base of every table. Constraints have stable names, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: UtcDateTime, UUID: Uuid, dict[str, Any]: JsonData, list[Any]: JsonData}


class TenantRow(Base):
    """A row that belongs to one tenant; `Units` filters and checks ``tenant_id``.

    ``__subject__`` names the row in events and in the audit; None keeps the table's changes out of both. Columns in
    ``__untold__`` are counters: a change of nothing else is told to neither.
    """

    __abstract__ = True
    __subject__: ClassVar[str | None] = None
    __untold__: ClassVar[frozenset[str]] = frozenset()

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=now)
    source_module: Mapped[str] = mapped_column(String(20), default="devstudio")

    def __init_subclass__(cls, **options: Any) -> None:
        """Index each table as it is paged: one tenant's rows by id."""
        super().__init_subclass__(**options)
        table = getattr(cls, "__table__", None)
        if table is not None:
            Index(f"ix_{table.name}_tenant_id_id", table.c.tenant_id, table.c.id)


class VersionedRow(TenantRow):
    """A row that people change: ``version`` goes up with each change and is the ETag."""

    __abstract__ = True

    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    version: Mapped[int] = mapped_column(Integer, default=1)


def check_version(row: VersionedRow, expected: int | None) -> None:
    """Raise `PreconditionFailed` unless ``expected`` is the row's version; ``None`` means the client did not say."""
    if expected is not None and expected != row.version:
        message = (
            f"You changed version {expected}, but the current version is {row.version}. "
            "Read it again, bring your change over, and send it with the new version."
        )
        raise PreconditionFailed(message, headers={"ETag": f'"{row.version}"'}, current_version=row.version)
