"""Writes Python: packages at the repository's root, tests for pytest."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable

from devstudio_server.ai.offline import templates
from devstudio_server.ai.offline.calls import TextTemplate
from devstudio_server.ai.offline.code import Task, placeholder_reason, rules_of, samples
from devstudio_server.ai.offline.files import FileSet
from devstudio_server.ai.offline.literals import write
from devstudio_server.ai.offline.names import soften
from devstudio_server.ai.offline.rules import COMMON

_MODULES = {
    "api": ("__main__", "server"),
    "web": ("__main__", "server"),
    "integration": ("__main__", "config"),
    "mobile": ("__main__", "cache"),
}
_IMPORTED = re.compile(r"^(?:from|import) (\w+)")


class PythonWriter:
    """Writes the files of one task."""

    def __init__(self, task: Task) -> None:
        """Write for ``task``."""
        self._task = task
        self._values = task.names.values()
        self._package = task.names.package

    def write_base(self, files: FileSet) -> None:
        """Propose the package and the settings of pytest."""
        files.add_once("pyproject.toml", templates.fill("python/pyproject.toml.tmpl", self._values))
        files.add_once(f"{self._package}/__init__.py", templates.fill("python/__init__.py.tmpl", self._values))

    def write_scaffold(self, files: FileSet) -> None:
        """Propose the skeleton of the project's type."""
        files.add_once("README.md", templates.fill("python/README.md.tmpl", self._values))
        for module in _MODULES[self._task.kind]:
            text = templates.fill(f"python/{self._task.kind}/{module}.py.tmpl", self._values)
            files.add_once(f"{self._package}/{module}.py", text)

    def write_task(self, files: FileSet) -> None:
        """Propose the task's module, unless it is only about the skeleton, and its tests."""
        module = ""
        stem = self._task.stem("_")
        if self._task.rules.functions or self._task.rules.open or not self._task.rules.skeleton:
            path = files.place(f"{self._package}/{stem}.py")
            module = path.rsplit("/", 1)[1].removesuffix(".py")
            files.add_own(path, self._module())
        files.add_own(files.place(f"tests/test_{stem}.py"), self._tests(module))

    def _module(self) -> str:
        title = soften(self._task.title)
        functions = self._task.rules.functions
        if not functions:
            return f'"""{title}.\n{_ABOUT_STUB}"""\n'
        parts = [
            f'"""{title}.\n{_ABOUT_TABLES}"""\n',
            "from copy import deepcopy\n\n",
            'class NoRuleError(ValueError):\n    """The criteria say nothing about this input."""\n\n',
            self._tables(),
            *(self._function(function) for function in functions),
            _LOOK_UP,
        ]
        return "\n".join(parts)

    def _tables(self) -> str:
        lines = ["# By function and by the repr of the arguments, which tells 1, 1.0 and True apart.", "_RULES = {"]
        for function in self._task.rules.functions:
            examples, _, _ = rules_of(self._task.rules, function)
            if not examples:
                lines.append(f'    "{function}": {{}},')
                continue
            lines.append(f'    "{function}": {{')
            for key, example in examples:
                arguments = "".join(f"{write(argument, 'python')}, " for argument in example.arguments)
                call = f"({arguments.rstrip() if len(example.arguments) == 1 else arguments.rstrip(', ')})"
                lines.append(f"        repr({call}): {write(example.result, 'python')},  # {key}")
            lines.append("    },")
        return "\n".join([*lines, "}", "", ""])

    def _function(self, function: str) -> str:
        _, template, keys = rules_of(self._task.rules, function)
        noun = "criterion" if len(keys) == 1 else "criteria"
        lines = [
            f"def {function}(*arguments: object) -> object:",
            f'    """Return what {noun} {", ".join(keys)} {"states" if len(keys) == 1 else "state"}.',
            "",
            "    Raises `NoRuleError` for any other input.",
            '    """',
        ]
        if template:
            lines += _template_lines(template)
        return "\n".join([*lines, f'    return _look_up("{function}", arguments)', "", ""])

    def _tests(self, module: str) -> str:
        rules = self._task.rules
        sources = [templates.tests(f"python/{name}.py.tmpl", self._values) for name in self._sources()]
        imports = [line for source in sources for line in source.imports]
        imports += ["import pytest"]
        if rules.functions:
            imports.append(f"from {self._package} import {module} as subject")
        bodies = {name: (source, body) for source in sources for name, body in source.bodies.items()}
        parts = [f'"""Task {self._task.key}: {soften(self._task.title)}."""\n', _sorted_imports(imports, self._package)]
        parts += [f"\n{source.support}" for source in sources if source.support]
        for name, criterion in rules.skeleton.items():
            source, body = bodies[name]
            parts.append(_test(criterion.key, criterion.text, body, source.arguments[name], name))
        parts += [_test(key, "", self._example_body(key)) for key, _ in rules.examples]
        parts += [_test(key, "", self._template_body(template)) for key, template in rules.templates]
        parts += [_placeholder(entry.key, placeholder_reason(entry)) for entry in rules.open]
        if not (rules.proven or rules.open):
            parts.append(_placeholder("", "the task names no criteria: name them, and write their tests"))
        return "\n".join(parts)

    def _sources(self) -> list[str]:
        named = set(self._task.rules.skeleton)
        sources = []
        for kind, path in ((COMMON, "tests_common"), (self._task.kind, f"{self._task.kind}/tests")):
            if named & set(templates.criteria(kind, self._values)):
                sources.append(path)
        return sources

    def _example_body(self, key: str) -> str:
        example = dict(self._task.rules.examples)[key]
        call = ", ".join(write(argument, "python") for argument in example.arguments)
        # `1 == True` in Python: what has only one value is compared by identity.
        comparison = "is" if example.result is None or isinstance(example.result, bool) else "=="
        return f"    assert subject.{example.function}({call}) {comparison} {write(example.result, 'python')}\n"

    def _template_body(self, template: TextTemplate) -> str:
        lines = []
        for count in range(2):
            values = samples(template, count)
            call = ", ".join(write(values[parameter], "python") for parameter in template.parameters)
            lines.append(
                f"    assert subject.{template.function}({call}) == {write(template.fill(values), 'python')}\n"
            )
        return "".join(lines)


_ABOUT_STUB = """
Nothing is implemented yet: the criteria of this task leave open what to compute.
"""
_ABOUT_TABLES = """
Answers exactly what the criteria state. Any other input raises `NoRuleError`: replace the tables by the real rule once
it is known.
"""
_LOOK_UP = """def _look_up(function: str, arguments: tuple[object, ...]) -> object:
    rules = _RULES[function]
    if repr(arguments) not in rules:
        raise NoRuleError(f"no rule: no criterion says what {function}{arguments!r} returns")
    return deepcopy(rules[repr(arguments)])
"""


def _template_lines(template: TextTemplate) -> list[str]:
    """Write the branch of a template: an exact example comes first."""
    names = ", ".join(template.parameters) + ("," if len(template.parameters) == 1 else "")
    text = _in_f_string(template.pieces[0])
    for slot, piece in zip(template.slots, template.pieces[1:], strict=True):
        text += f"{{{slot}}}{_in_f_string(piece)}"
    count = len(template.parameters)
    condition = f'repr(arguments) not in _RULES["{template.function}"] and len(texts) == len(arguments) == {count}'
    return [
        "    texts = [argument for argument in arguments if isinstance(argument, str)]",
        f"    if {condition}:",
        f"        ({names}) = texts",
        f'        return f"{text}"',
    ]


def _in_f_string(text: str) -> str:
    return write(text, "python")[1:-1].replace("{", "{{").replace("}", "}}")


def _test(key: str, text: str, body: str, arguments: str = "", name: str = "") -> str:
    """Write a test; without ``key`` it claims no criterion, and is called ``name``."""
    docstring = f'    """{soften(text)}"""\n' if text else ""
    if not key:
        return f"\ndef test_{_name(name)}({arguments}):\n{docstring}{body}"
    return f'\n@pytest.mark.criterion("{key}")\ndef test_criterion_{_name(key)}({arguments}):\n{docstring}{body}'


def _placeholder(key: str, reason: str) -> str:
    """Write a test that is skipped. It carries no criterion marker: nothing may take it for proof."""
    name = f"criterion_{_name(key)}" if key else "task"
    told = f"criterion {key}: {reason}" if key else reason
    line = f"@pytest.mark.skip(reason={json.dumps(' '.join(told.split()), ensure_ascii=False)})"
    return f"\n{line}\ndef test_{name}_is_not_written_yet():\n    raise NotImplementedError\n"


def _name(key: str) -> str:
    return re.sub(r"\W", "_", key)


def _sorted_imports(lines: Iterable[str], package: str) -> str:
    """Put imports in the usual order: standard library, others, the project."""
    groups: tuple[list[str], list[str], list[str]] = ([], [], [])
    for line in sorted(set(lines), key=lambda line: (line.startswith("from"), line)):
        found = _IMPORTED.match(line)
        top = found.group(1) if found else ""
        groups[2 if top == package else 0 if top in sys.stdlib_module_names else 1].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"
