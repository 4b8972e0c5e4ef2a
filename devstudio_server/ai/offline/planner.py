"""Plans a session by rules: requirements from the wish, a design and tasks from the requirements."""

from __future__ import annotations

import re
from collections.abc import Sequence

from devstudio_server.ai.contract import WriteDocuments
from devstudio_server.ai.offline.calls import find_rule
from devstudio_server.ai.offline.names import LABEL, Names, one_line, soften
from devstudio_server.ai.offline.requirements import SKELETON_TITLE, plan_requirements
from devstudio_server.ai.offline.rules import kind_of, skeleton_criteria
from devstudio_server.ai.subjects import PlanSubject, RequirementText

_SUPPLEMENT = "## Offline supplement"
_REFERENCES = re.compile(r"_(?:Requirements?|Requisitos?):[ \t]*([^_]*)_", re.IGNORECASE)
_REFERENCE = re.compile(r"\d+(?:\.\d+)?")
_TASK_NUMBER = re.compile(r"^[ \t]*[-*][ \t]+\[[ xX-]\]\*?[ \t]+(\d+)", re.MULTILINE)
_KINDS = {
    "api": "an HTTP interface that answers in JSON",
    "web": "a website that is served over HTTP",
    "integration": "an integration that is driven by a configuration file",
    "mobile": "the part of a mobile app that works without a network: a cache of the server's answers",
}
_PROOF = (
    "Criteria that state a call and its result are tested as they stand; a criterion that leaves something open gets a "
    "skipped placeholder, which proves nothing until somebody writes it."
)
_DATA = {
    "api": "Requests and answers are JSON objects; an error is an object with the text `error`.",
    "web": "Pages are HTML in UTF-8; every text in them is escaped.",
    "integration": "The configuration is a JSON object with the texts `source` and `target`.",
    "mobile": "A kept answer is the body of the server's answer, in a file that is named by the digest of its path.",
}


def plan(subject: PlanSubject) -> WriteDocuments:
    """Return the documents of the asked stages."""
    requirements_text, requirements = None, subject.requirements
    if "requirements" in subject.stages:
        requirements_text, requirements = plan_requirements(subject)
    return WriteDocuments(
        requirements=requirements_text,
        design=_design(subject, requirements) if "design" in subject.stages else None,
        tasks=_tasks(subject, requirements) if "tasks" in subject.stages else None,
    )


def _design(subject: PlanSubject, requirements: Sequence[RequirementText]) -> str:
    """Write the design; one that a person or a model wrote is kept, and gets a supplement at its end."""
    present = subject.documents.get("design", "")
    if not present.strip() or present.lstrip().startswith(_design_head()):
        return _whole_design(subject, requirements)
    kept = present.partition(f"{_SUPPLEMENT}\n")[0].rstrip("\n")
    return f"{kept}\n\n{_SUPPLEMENT}\n\n{LABEL}\n\n{_components(subject, requirements)}\n"


def _design_head() -> str:
    return f"# Design\n\n{LABEL}\n"


def _whole_design(subject: PlanSubject, requirements: Sequence[RequirementText]) -> str:
    names = Names.of(subject.project_name, subject.language)
    kind = kind_of(subject.project_type)
    runner = "pytest, `python3 -m pytest`" if names.language == "python" else "`node --test`, started by `npm test`"
    marker = '`@pytest.mark.criterion("1.2")`' if names.language == "python" else "`[1.2]` in its name"
    home = f"the package `{names.package}`" if names.language == "python" else "the folder `src`"
    sections = {
        "Overview": f"{soften(subject.project_name)} is {_KINDS[kind]}. This design follows from "
        f"{len(requirements)} requirements; it decides nothing that they leave open.",
        "Architecture": f"One program without outside dependencies, in {home}. `{names.command}` starts it. "
        "Each task adds a module of its own beside the skeleton.",
        "Components and Interfaces": _components(subject, requirements),
        "Data Models": _DATA[kind],
        "Error Handling": _errors(requirements),
        "Testing Strategy": f"Tests run with {runner}. A test names the criterion it checks with {marker}. {_PROOF}",
    }
    body = "\n".join(f"## {title}\n\n{text}\n" for title, text in sections.items())
    return f"{_design_head()}\n{body}"


def _components(subject: PlanSubject, requirements: Sequence[RequirementText]) -> str:
    if not requirements:
        return "There are no requirements yet: plan them first."
    return "\n".join(_component(subject, requirement) for requirement in requirements)


def _component(subject: PlanSubject, requirement: RequirementText) -> str:
    names = Names.of(subject.project_name, subject.language)
    known = set(skeleton_criteria(names, kind_of(subject.project_type)).values())
    functions: dict[str, None] = {}
    undecided = []
    for criterion in requirement.criteria:
        rule = find_rule(criterion.text)
        if rule:
            functions[f"`{rule.function}`"] = None
        elif criterion.text not in known:
            undecided.append(criterion.key)
    notes = [f"functions {', '.join(functions)}"] if functions else []
    notes += [f"to be decided by a person: {', '.join(undecided)}"] if undecided else []
    told = f" ({'; '.join(notes)})" if notes else ""
    keys = ", ".join(criterion.key for criterion in requirement.criteria) or "no criteria"
    return f"- **Requirement {requirement.number}, {one_line(requirement.title)}**: {keys}{told}."


def _errors(requirements: Sequence[RequirementText]) -> str:
    """List the criteria of unwanted behaviour, which EARS writes with IF."""
    unwanted = [
        f"- {criterion.key}: {one_line(criterion.text)}"
        for requirement in requirements
        for criterion in requirement.criteria
        if criterion.text.upper().startswith(("IF ", "SE "))
    ]
    return "\n".join(unwanted) or "The requirements name no unwanted behaviour yet."


def _tasks(subject: PlanSubject, requirements: Sequence[RequirementText]) -> str:
    """Keep the tasks that are there, and add one for each requirement with criteria that no task names."""
    present = subject.documents.get("tasks", "")
    covered = _covered(present)
    number = max((int(found) for found in _TASK_NUMBER.findall(present)), default=0)
    text = present if present.strip() else f"# Tasks\n\n{LABEL}\n\n"
    text += "" if text.endswith("\n") else "\n"
    for requirement in sorted(requirements, key=lambda found: found.title != SKELETON_TITLE):
        keys = [
            criterion.key
            for criterion in requirement.criteria
            if not covered & {criterion.key, str(requirement.number)}
        ]
        if keys:
            number += 1
            text += _task(number, requirement, keys)
    if not requirements and not present.strip():
        text += "There are no requirements yet: plan them first.\n"
    return text


def _covered(tasks: str) -> set[str]:
    """Return what the tasks name: criteria, and numbers of whole requirements."""
    return {found for references in _REFERENCES.findall(tasks) for found in _REFERENCE.findall(references)}


def _task(number: int, requirement: RequirementText, keys: Sequence[str]) -> str:
    title = one_line(requirement.title)
    if requirement.title == SKELETON_TITLE:
        return (
            f"- [ ] {number}. Create the project skeleton\n"
            "  - Package, entry point, and what the project's type needs, with their tests\n"
            f"  - _Requirements: {', '.join(keys)}_\n"
        )
    return (
        f"- [ ] {number}. Implement requirement {requirement.number}: {title}\n"
        "  - Write the code and one test for each criterion\n"
        f"  - _Requirements: {', '.join(keys)}_\n"
    )
