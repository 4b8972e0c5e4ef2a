"""What a conversation with a model is about, as data. The offline provider works from these instead of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["python", "node", "blank"]


@dataclass(frozen=True)
class CriterionText:
    """An acceptance criterion: its key (``1.2``) and its text."""

    key: str
    text: str


@dataclass(frozen=True)
class RequirementText:
    """A requirement as it stands in the document."""

    number: int
    title: str
    criteria: tuple[CriterionText, ...]


@dataclass(frozen=True)
class PlanSubject:
    """What is planned. ``stages`` are the documents asked for; ``documents`` holds the current text of each."""

    project_name: str
    project_type: str
    language: Language
    session_title: str
    session_description: str
    prompt: str
    stages: tuple[str, ...]
    documents: Mapping[str, str]
    requirements: tuple[RequirementText, ...]


@dataclass(frozen=True)
class GenerationSubject:
    """The task to write code for. ``criteria`` are those that it names, ``files`` the paths of its base tree."""

    project_name: str
    project_type: str
    language: Language
    task_key: str
    task_title: str
    task_description: str
    criteria: tuple[CriterionText, ...]
    requirements: tuple[RequirementText, ...]
    instructions: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class TextSubject:
    """A question of someone, to be answered by text."""

    prompt: str


Subject = PlanSubject | GenerationSubject | TextSubject
