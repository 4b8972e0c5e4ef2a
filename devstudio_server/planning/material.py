"""What a prompt is made from, as a model may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from devstudio_server.ai.schemas import Model
from devstudio_server.ai.service import GroupedCosts
from devstudio_server.ai.subjects import GenerationSubject
from devstudio_server.planning.changes import Basis


@dataclass(frozen=True)
class Material:
    """A session as a model may see it, and what was sent for it so far."""

    session_id: UUID
    title: str
    model: Model
    documents: Mapping[str, str]
    warnings: Sequence[str]
    used: GroupedCosts


@dataclass(frozen=True)
class TaskMaterial(Material):
    """A task with what its context is built from; ``sibling`` is another task of the session, if there is one."""

    task_id: UUID
    basis: Basis
    subject: GenerationSubject
    rejections: Sequence[str]
    sibling: GenerationSubject | None
