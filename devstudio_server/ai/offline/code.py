"""What the writers of Python and of JavaScript have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from devstudio_server.ai.offline.calls import Example, TextTemplate
from devstudio_server.ai.offline.files import FileSet
from devstudio_server.ai.offline.names import Names, slug
from devstudio_server.ai.offline.rules import Open, TaskRules

# Two of each, so that a function that always says the same cannot pass.
SAMPLES = (("Ada", "Lovelace", "Countess"), ("Grace", "Hopper", "Admiral"))


@dataclass(frozen=True)
class Task:
    """The task that code is written for, and what is known about its criteria."""

    key: str
    title: str
    kind: str
    names: Names
    rules: TaskRules

    def stem(self, separator: str) -> str:
        """Return the name of the task's own files, which no other task of the session has."""
        words = slug(self.title, separator)
        parts = ["task", *self.key.split("."), *([words] if words else [])]
        return separator.join(parts)


class CodeWriter(Protocol):
    """Writes files in one language."""

    def write_base(self, files: FileSet) -> None:
        """Propose what every project of this language needs to run its tests."""
        ...

    def write_scaffold(self, files: FileSet) -> None:
        """Propose the skeleton of the project's type."""
        ...

    def write_task(self, files: FileSet) -> None:
        """Propose the task's module, if it needs one, and its tests."""
        ...


def rules_of(rules: TaskRules, function: str) -> tuple[list[tuple[str, Example]], TextTemplate | None, list[str]]:
    """Return the examples and the template of one function, and the keys of the criteria that state them."""
    examples = [(key, example) for key, example in rules.examples if example.function == function]
    found = [(key, template) for key, template in rules.templates if template.function == function]
    keys = [key for key, _ in (*examples, *found)]
    return examples, found[0][1] if found else None, keys


def samples(template: TextTemplate, count: int) -> dict[str, str]:
    """Return the ``count``-th set of sample values for a template's parameters."""
    words = SAMPLES[count]
    return {
        parameter: words[index] if index < len(words) else f"{words[0]}{index}"
        for index, parameter in enumerate(template.parameters)
    }


def placeholder_reason(entry: Open) -> str:
    """Return why a placeholder is skipped. It says what to do, and counts as proof of nothing."""
    text = " ".join(entry.text.split())
    return f"{entry.reason}: {text}" if text else entry.reason
