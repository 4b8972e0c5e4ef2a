"""What is known about each criterion of a task, and so what can honestly be generated for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from devstudio_server.ai.offline import templates
from devstudio_server.ai.offline.calls import Example, TextTemplate, find_rule
from devstudio_server.ai.offline.literals import write
from devstudio_server.ai.offline.names import Names
from devstudio_server.ai.subjects import CriterionText

COMMON = "common"
KINDS = ("api", "web", "integration", "mobile")


@dataclass(frozen=True)
class Open:
    """A criterion that a person has to write the test for."""

    key: str
    text: str
    reason: str


@dataclass
class TaskRules:
    """The criteria of one task, sorted: the skeleton's by template name, exact ones, and open ones."""

    skeleton: dict[str, CriterionText] = field(default_factory=dict)
    examples: list[tuple[str, Example]] = field(default_factory=list)
    templates: list[tuple[str, TextTemplate]] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)

    @property
    def proven(self) -> list[str]:
        """The keys of the criteria that get a real test."""
        exact = [key for key, _ in (*self.examples, *self.templates)]
        return [criterion.key for criterion in self.skeleton.values()] + exact

    @property
    def functions(self) -> list[str]:
        """The functions that the exact criteria name, in their order."""
        named = [example.function for _, example in self.examples]
        return list(dict.fromkeys(named + [template.function for _, template in self.templates]))


def kind_of(project_type: str) -> str:
    """Return the kind of skeleton for a project type."""
    return project_type if project_type in KINDS else "api"


def skeleton_criteria(names: Names, kind: str) -> dict[str, str]:
    """Return the criteria of a project's skeleton by name, in their order."""
    values = names.values()
    return {**templates.criteria(COMMON, values), **templates.criteria(kind, values)}


def sort_criteria(criteria: Iterable[CriterionText], names: Names, kind: str) -> TaskRules:
    """Find out what is known about each criterion."""
    rules = TaskRules()
    skeleton = {_folded(text): name for name, text in skeleton_criteria(names, kind).items()}
    for criterion in criteria:
        name = skeleton.get(_folded(criterion.text))
        if name and name not in rules.skeleton:
            rules.skeleton[name] = criterion
        else:
            _sort_exact(criterion, names, rules)
    return rules


def _sort_exact(criterion: CriterionText, names: Names, rules: TaskRules) -> None:
    rule = find_rule(criterion.text)
    if isinstance(rule, Example):
        other = _contradicted(rule, names, rules)
        if other:
            rules.open.append(Open(criterion.key, criterion.text, f"it contradicts criterion {other}"))
        else:
            rules.examples.append((criterion.key, rule))
    elif isinstance(rule, TextTemplate) and rule.function not in {found.function for _, found in rules.templates}:
        rules.templates.append((criterion.key, rule))
    else:
        reason = "write this test" if criterion.text.strip() else "the requirements have no such criterion"
        rules.open.append(Open(criterion.key, criterion.text, reason))


def _contradicted(rule: Example, names: Names, rules: TaskRules) -> str | None:
    """Return the key of an earlier example with the same call and another result."""
    call, result = write(list(rule.arguments), names.language), write(rule.result, names.language)
    for key, other in rules.examples:
        same_call = other.function == rule.function and write(list(other.arguments), names.language) == call
        if same_call and write(other.result, names.language) != result:
            return key
    return None


def _folded(text: str) -> str:
    return " ".join(text.split())
