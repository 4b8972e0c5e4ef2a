"""Public shapes of project templates."""

from __future__ import annotations

from typing import Literal

from devstudio_server.web.schemas import Shape


class TemplateRead(Shape):
    """A template. ``run`` and ``test`` are commands for a project with the name Example, which ``files`` are of."""

    id: str
    type: Literal["web", "api", "mobile", "integration"]
    language: Literal["python", "node"]
    title: str
    description: str
    run: str
    test: str
    files: list[str]


class TemplateFile(Shape):
    """A file of a template."""

    path: str
    content: str


class TemplateShow(TemplateRead):
    """A template with the texts of its files."""

    contents: list[TemplateFile]


class TemplateList(Shape):
    """The templates of this server."""

    items: list[TemplateRead]
    next_cursor: str | None = None
