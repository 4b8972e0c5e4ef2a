"""Keyset paging as SQL: rows by id, newest first, with one more than the page to tell whether there is another."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Select

from devstudio_server.db.base import TenantRow
from devstudio_server.kit.pagination import PageRequest

Row = TypeVar("Row", bound=TenantRow)


def newest_first(query: Select[Row], model: type[Row], page: PageRequest) -> Select[Row]:
    """Return ``query`` cut to ``page.limit + 1`` rows after ``page.after``; ids are UUIDv7, so they sort by time."""
    if page.after is not None:
        query = query.where(model.id < page.after)
    return query.order_by(model.id.desc()).limit(page.limit + 1)
