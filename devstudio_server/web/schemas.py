"""Bases of the public shapes."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from devstudio_server.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest, decode_cursor

T = TypeVar("T")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Payload(BaseModel):
    """A request body. Unknown fields are refused, and text is never silently turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=False)


class Shape(BaseModel):
    """An answer, read from a row or a dataclass."""

    model_config = ConfigDict(from_attributes=True, populate_by_name=True)


class ListQuery(BaseModel):
    """The query of every list call."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description=f"Rows a page, at most {MAX_LIMIT}.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")

    def page(self) -> PageRequest:
        """Return the paging part; raises `Invalid` for a cursor of another make."""
        return PageRequest(self.limit, decode_cursor(self.cursor) if self.cursor else None)


class ListPage(BaseModel, Generic[T]):
    """One page of a list; ``next_cursor`` is null on the last."""

    items: list[T]
    next_cursor: str | None = None


def list_page(shape: type[T], page: Page[Any]) -> ListPage[T]:
    """Turn a page of rows into a page of ``shape``, a `Shape`."""
    items: list[T] = [shape.model_validate(row) for row in page.items]  # type: ignore[attr-defined]
    return ListPage[shape](items=items, next_cursor=page.next_cursor)  # type: ignore[valid-type]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[ProblemError] = []


class ProblemError(BaseModel):
    """One wrong place in a payload: ``loc`` is the path to it."""

    loc: list[str | int]
    msg: str
