"""Public shapes of projects."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AliasChoices, Field

from devstudio_server.web.schemas import ListQuery, Name, Payload, Shape

MAX_DESCRIPTION = 10_000


class ProjectType(StrEnum):
    """What kind of software it is (the seed's types)."""

    WEB = "web"
    API = "api"
    MOBILE = "mobile"
    INTEGRATION = "integration"


class ProjectTemplate(StrEnum):
    """The language whose conventions generated code follows; ``blank`` starts with neither."""

    PYTHON = "python"
    NODE = "node"
    BLANK = "blank"


class ProjectStatus(StrEnum):
    """``deleted`` projects are no longer answered."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


class SettableStatus(StrEnum):
    """The statuses that a person may set; deleting is a DELETE."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class ProjectCreate(Payload):
    """A new project."""

    name: Name
    description: str | None = Field(None, max_length=MAX_DESCRIPTION)
    type: ProjectType = ProjectType.API
    template: ProjectTemplate | None = Field(None, description="Defaults to `python`.")


class ProjectUpdate(Payload):
    """A change; what is absent stays."""

    name: Name | None = None
    description: str | None = Field(None, max_length=MAX_DESCRIPTION)
    status: SettableStatus | None = None
    metadata: dict[str, Any] | None = None


class ProjectQuery(ListQuery):
    """Filters of the list."""

    status: SettableStatus | None = None
    type: ProjectType | None = None


class ProjectRead(Shape):
    """A project. ``path`` is its tree, relative to the Jupyter server's root folder."""

    id: UUID
    tenant_id: UUID
    name: str
    description: str | None
    type: ProjectType
    template: ProjectTemplate
    repo: str | None
    provider: str | None
    created_by: UUID
    created_at: datetime
    updated_at: datetime
    status: ProjectStatus
    version: int
    source_module: str
    metadata: dict[str, Any] = Field(validation_alias=AliasChoices("metadata_", "metadata"))
    default_branch: str
    path: str
