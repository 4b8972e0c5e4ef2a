"""Proposes code by rules: real tests where a criterion leaves nothing open, honest placeholders elsewhere."""

from __future__ import annotations

from devstudio_server.ai.contract import ProposeChanges
from devstudio_server.ai.offline.code import CodeWriter, Task
from devstudio_server.ai.offline.files import FileSet
from devstudio_server.ai.offline.names import LABEL, Names, one_line
from devstudio_server.ai.offline.node_code import NodeWriter, extension_for
from devstudio_server.ai.offline.python_code import PythonWriter
from devstudio_server.ai.offline.rules import TaskRules, kind_of, sort_criteria
from devstudio_server.ai.ports import RepositoryReader
from devstudio_server.ai.subjects import GenerationSubject


def propose(subject: GenerationSubject, reader: RepositoryReader | None) -> ProposeChanges:
    """Return the change for a task. Nothing in it claims a criterion that its tests do not check."""
    files = FileSet(f"Task {subject.task_key}: {subject.task_title}", subject.files, reader)
    extension = extension_for(files.read("package.json"))
    names = Names.of(subject.project_name, subject.language, extension)
    kind = kind_of(subject.project_type)
    rules = sort_criteria(subject.criteria, names, kind)
    task = Task(subject.task_key, one_line(subject.task_title), kind, names, rules)
    writer: CodeWriter = NodeWriter(task) if names.language == "node" else PythonWriter(task)
    writer.write_base(files)
    if rules.skeleton:
        writer.write_scaffold(files)
    writer.write_task(files)
    return ProposeChanges(summary=_summary(subject, rules, files), files=files.proposed())


def _summary(subject: GenerationSubject, rules: TaskRules, files: FileSet) -> str:
    lines = [LABEL, "", f"Task {subject.task_key}: {one_line(subject.task_title)}", ""]
    if rules.skeleton:
        keys = ", ".join(criterion.key for criterion in rules.skeleton.values())
        lines.append(f"- The project's skeleton, with real tests for {keys}.")
    if rules.functions:
        keys = ", ".join(key for key, _ in (*rules.examples, *rules.templates))
        lines.append(
            f"- {', '.join(rules.functions)}: exactly what the criteria state, with tests for {keys}; any other input "
            "raises a “no rule” error."
        )
    if rules.open:
        keys = ", ".join(entry.key for entry in rules.open)
        lines.append(f"- Skipped placeholders for {keys}: rules cannot write these tests. They prove nothing.")
    if not (rules.proven or rules.open):
        lines.append("- A stub and a skipped test: the task names no criteria.")
    if files.kept:
        lines.append(f"- Left as they are: {', '.join(dict.fromkeys(files.kept))}.")
    if subject.language == "blank":
        lines.append("- The project has no language set, so Python was taken.")
    if subject.instructions.strip():
        lines.append("- The instructions were not read: templates cannot follow them.")
    return "\n".join(lines)
