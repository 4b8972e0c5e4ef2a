"""The project templates: the skeletons of the offline provider, each whole and with its own tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devstudio_server.ai.contract import ProposeChanges
from devstudio_server.ai.offline.code import CodeWriter, Task
from devstudio_server.ai.offline.files import FileSet
from devstudio_server.ai.offline.names import LABEL, Names, TargetLanguage
from devstudio_server.ai.offline.node_code import NodeWriter, extension_for
from devstudio_server.ai.offline.python_code import PythonWriter
from devstudio_server.ai.offline.rules import TaskRules, skeleton_criteria
from devstudio_server.ai.ports import RepositoryReader
from devstudio_server.ai.subjects import CriterionText, GenerationSubject

_ABOUT = {
    "web": "A website that is served over HTTP, with a start page and an answer for what is not there.",
    "api": "An HTTP interface that answers in JSON.",
    "mobile": "The part of a mobile app that works without a network: a cache of the server's answers.",
    "integration": "An integration that is driven by a configuration file, which it checks.",
}
_LANGUAGES: dict[TargetLanguage, str] = {"python": "Python", "node": "Node.js"}
_TESTS: dict[TargetLanguage, str] = {"python": "python3 -m pytest", "node": "npm test"}


@dataclass(frozen=True)
class Template:
    """One template. ``run`` and ``test`` are commands for the root of a project that it was made for."""

    id: str
    type: str
    language: TargetLanguage
    title: str
    description: str
    run: str
    test: str


def _template(kind: str, language: TargetLanguage) -> Template:
    names = Names.of("Example", language)
    title = f"{kind.capitalize()} in {_LANGUAGES[language]}" if kind != "api" else f"API in {_LANGUAGES[language]}"
    return Template(f"{kind}-{language}", kind, language, title, _ABOUT[kind], names.command, _TESTS[language])


TEMPLATES = {made.id: made for made in (_template(kind, language) for kind in _ABOUT for language in _LANGUAGES)}


def build(template: Template, subject: GenerationSubject, reader: RepositoryReader | None) -> ProposeChanges:
    """Return the template as a change for the task of ``subject``; files that are there stay as they are.

    A test names a criterion of the task only when the criterion says word for word what the test checks.
    """
    files = FileSet(f"Task {subject.task_key}: {subject.task_title}", subject.files, reader)
    extension = extension_for(files.read("package.json"))
    names = Names.of(subject.project_name, template.language, extension)
    rules = TaskRules(skeleton=_criteria(subject.criteria, skeleton_criteria(names, template.type)))
    task = Task(subject.task_key, template.title, template.type, names, rules)
    writer: CodeWriter = NodeWriter(task) if template.language == "node" else PythonWriter(task)
    writer.write_base(files)
    writer.write_scaffold(files)
    writer.write_task(files)
    kept = f"\n\nLeft as they are: {', '.join(dict.fromkeys(files.kept))}." if files.kept else ""
    summary = f"{template.title}\n\n{LABEL} {template.description}{kept}"
    return ProposeChanges(summary=summary, files=files.proposed())


def _criteria(criteria: Iterable[CriterionText], skeleton: dict[str, str]) -> dict[str, CriterionText]:
    keys = {" ".join(criterion.text.split()): criterion.key for criterion in criteria}
    return {name: CriterionText(keys.get(" ".join(text.split()), ""), text) for name, text in skeleton.items()}
