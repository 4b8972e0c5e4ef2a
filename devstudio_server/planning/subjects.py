"""Brings a session and its project into the form in which a model, or the offline provider, gets them."""

from __future__ import annotations

from typing import cast

from devstudio_server.ai.subjects import CriterionText, Language, RequirementText
from devstudio_server.projects.models import Project
from devstudio_server.specs.markdown import parse
from devstudio_server.specs.models import Task
from devstudio_server.specs.schemas import DocumentType


def language_of(project: Project) -> Language:
    """Return the language whose conventions the project's code follows."""
    return cast("Language", project.template)


def requirements_of(text: str) -> tuple[RequirementText, ...]:
    """Return the requirements of a document with the keys of their criteria."""
    parsed = parse(DocumentType.REQUIREMENTS, text)
    return tuple(
        RequirementText(
            number=int(block.label),
            title=block.text,
            criteria=tuple(CriterionText(criterion.label, criterion.text) for criterion in block.criteria),
        )
        for block in parsed.requirements
    )


def task_text(document: str, task: Task) -> tuple[str, str]:
    """Return the title and the details of a task as ``document`` has them, which may be without restricted parts."""
    for block in parse(DocumentType.TASKS, document).tasks:
        if block.label == task.key:
            return block.title, "\n".join(block.details)
    return "(not shown)", ""
