"""Writes the requirements document: what is there stays byte for byte, and only what is missing is added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from devstudio_server.ai.offline.ears import Wish, is_portuguese, read_wishes, to_ears
from devstudio_server.ai.offline.names import LABEL, Names, one_line
from devstudio_server.ai.offline.rules import kind_of, skeleton_criteria
from devstudio_server.ai.subjects import CriterionText, PlanSubject, RequirementText

SKELETON_TITLE = "Project skeleton"
_LIKE_SKELETON = re.compile(r"skeleton|scaffold|boilerplate|esqueleto|estrutura (?:inicial|do projeto)", re.IGNORECASE)
_MAX_TITLE = 80
_MAX_CRITERIA = 12
"""More criteria than this make a requirement that nobody can review; the rest goes to the next one."""


def plan_requirements(subject: PlanSubject) -> tuple[str, tuple[RequirementText, ...]]:
    """Return the document, and all requirements that it then holds."""
    present = subject.documents.get("requirements", "")
    added = _number(_missing(subject, present), start=_next_number(subject.requirements))
    if not present.strip():
        present = f"# Requirements\n\n{LABEL}\n"
    gap = "" if present.endswith("\n") else "\n"
    text = present + gap + "".join(f"\n{_section(requirement, subject)}" for requirement in added)
    return text, (*subject.requirements, *added)


def _missing(subject: PlanSubject, present: str) -> list[tuple[str, list[str]]]:
    """Return title and criteria of each requirement to add."""
    missing = []
    if not any(_LIKE_SKELETON.search(requirement.title) for requirement in subject.requirements):
        names = Names.of(subject.project_name, subject.language)
        criteria = skeleton_criteria(names, kind_of(subject.project_type))
        missing.append((SKELETON_TITLE, list(criteria.values())))
    known = {_folded(criterion.text) for requirement in subject.requirements for criterion in requirement.criteria}
    for wish in read_wishes(_wished(subject, present)):
        mostly = is_portuguese(f"{wish.title} {' '.join(wish.statements)}")
        criteria_texts = [
            to_ears(statement, portuguese=is_portuguese(statement, otherwise=mostly)) for statement in wish.statements
        ]
        fresh = [text for text in dict.fromkeys(criteria_texts) if _folded(text) not in known]
        missing += _portions(_title(wish, subject), fresh)
    return missing


def _wished(subject: PlanSubject, present: str) -> str:
    """Return the text to read wishes from: the prompt, else what the session says when it has no requirements yet."""
    if subject.prompt.strip() or subject.requirements:
        return subject.prompt
    for text in (present, subject.session_description, subject.session_title):
        if read_wishes(text):
            return text
    return ""


def _portions(title: str, criteria: Sequence[str]) -> list[tuple[str, list[str]]]:
    starts = range(0, len(criteria), _MAX_CRITERIA)
    portions = [list(criteria[start : start + _MAX_CRITERIA]) for start in starts]
    return [(title if index == 0 else f"{title} ({index + 1})", part) for index, part in enumerate(portions)]


def _title(wish: Wish, subject: PlanSubject) -> str:
    title = one_line(wish.title or subject.session_title or wish.statements[0]).rstrip(" .:;")
    return title if len(title) <= _MAX_TITLE else title[:_MAX_TITLE].rsplit(" ", 1)[0] + " …"


def _number(requirements: Iterable[tuple[str, list[str]]], start: int) -> list[RequirementText]:
    return [
        RequirementText(
            number,
            title,
            tuple(CriterionText(f"{number}.{index}", text) for index, text in enumerate(criteria, start=1)),
        )
        for number, (title, criteria) in enumerate(requirements, start=start)
    ]


def _next_number(requirements: Sequence[RequirementText]) -> int:
    return max((requirement.number for requirement in requirements), default=0) + 1


def _section(requirement: RequirementText, subject: PlanSubject) -> str:
    lines = [f"### Requirement {requirement.number}: {requirement.title}", ""]
    if subject.requirements:
        lines += [LABEL, ""]
    lines += [f"**User Story:** {_story(requirement, subject)}", "", "#### Acceptance Criteria", ""]
    lines += [f"{index}. {criterion.text}" for index, criterion in enumerate(requirement.criteria, start=1)]
    return "\n".join([*lines, ""])


def _story(requirement: RequirementText, subject: PlanSubject) -> str:
    project = one_line(subject.project_name)
    if requirement.title == SKELETON_TITLE:
        return f"As a developer of {project}, I want a project that starts and tests itself, so that work can begin."
    if is_portuguese(" ".join(criterion.text for criterion in requirement.criteria)):
        return f"Como usuário de {project}, quero {requirement.title}, para que o que foi pedido seja cumprido."
    return f"As a user of {project}, I want {requirement.title}, so that what was asked for is fulfilled."


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
