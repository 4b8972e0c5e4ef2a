"""Writes JavaScript modules for Node 20 and newer, tests for `node --test`."""

from __future__ import annotations

import json

from devstudio_server.ai.offline import templates
from devstudio_server.ai.offline.calls import TextTemplate
from devstudio_server.ai.offline.code import Task, placeholder_reason, rules_of, samples
from devstudio_server.ai.offline.files import FileSet
from devstudio_server.ai.offline.literals import write
from devstudio_server.ai.offline.names import LABEL, one_line, soften
from devstudio_server.ai.offline.rules import COMMON

_MODULES = {
    "api": ("main", "server"),
    "web": ("main", "server"),
    "integration": ("main", "config"),
    "mobile": ("main", "cache"),
}
_TEST_SCRIPT = "node --test"
_NO_TESTS = "no test specified"
"""Part of what ``npm init`` writes as the test script."""


def extension_for(package_json: str | None) -> str:
    """Return the extension of ES modules: ``js`` where package.json makes them the rule, or is ours to write."""
    if package_json is None:
        return "js"
    settings = _object(package_json)
    return "js" if settings and settings.get("type") == "module" else "mjs"


class NodeWriter:
    """Writes the files of one task."""

    def __init__(self, task: Task) -> None:
        """Write for ``task``."""
        self._task = task
        self._values = task.names.values()
        self._extension = task.names.extension

    def write_base(self, files: FileSet) -> None:
        """Propose package.json, or the test script that it lacks."""
        text = files.read("package.json")
        if text is None:
            files.add_once("package.json", self._package_json())
            return
        settings = _object(text)
        scripts = settings.get("scripts", {}) if settings else None
        if isinstance(scripts, dict) and _NO_TESTS in str(scripts.get("test", _NO_TESTS)):
            changed = {**(settings or {}), "scripts": {**scripts, "test": _TEST_SCRIPT}}
            files.replace("package.json", json.dumps(changed, indent=2, ensure_ascii=False) + "\n")

    def write_scaffold(self, files: FileSet) -> None:
        """Propose the skeleton of the project's type."""
        files.add_once("README.md", templates.fill("node/README.md.tmpl", self._values))
        files.add_once(f"src/version.{self._extension}", templates.fill("node/version.js.tmpl", self._values))
        for module in _MODULES[self._task.kind]:
            text = templates.fill(f"node/{self._task.kind}/{module}.js.tmpl", self._values)
            files.add_once(f"src/{module}.{self._extension}", text)

    def write_task(self, files: FileSet) -> None:
        """Propose the task's module, unless it is only about the skeleton, and its tests."""
        module = ""
        stem = self._task.stem("-")
        if self._task.rules.functions or self._task.rules.open or not self._task.rules.skeleton:
            path = files.place(f"src/{stem}.{self._extension}")
            module = path.rsplit("/", 1)[1]
            files.add_own(path, self._module())
        files.add_own(files.place(f"test/{stem}.test.{self._extension}"), self._tests(module))

    def _package_json(self) -> str:
        settings = {
            "name": self._task.names.package,
            "version": "0.1.0",
            "description": f"{one_line(self._task.names.project)}. {LABEL}",
            "private": True,
            "type": "module",
            "engines": {"node": ">=20"},
            "scripts": {"test": _TEST_SCRIPT},
        }
        return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"

    def _module(self) -> str:
        title = soften(self._task.title)
        functions = self._task.rules.functions
        if not functions:
            return (
                f"// {title}.\n// Nothing is implemented yet: the criteria of this task leave open what to compute.\n\n"
                "export {};\n"
            )
        parts = [
            f"// {title}.\n{_ABOUT_TABLES}",
            "import { isDeepStrictEqual } from 'node:util';\n",
            "/** The criteria say nothing about this input. */\nexport class NoRuleError extends Error {}\n",
            self._tables(),
            _LOOK_UP,
            *(self._function(function) for function in functions),
        ]
        return "\n".join(parts)

    def _tables(self) -> str:
        lines = ["const rules = {"]
        for function in self._task.rules.functions:
            lines.append(f"  {function}: [")
            examples, _, _ = rules_of(self._task.rules, function)
            for key, example in examples:
                arguments, result = write(list(example.arguments), "node"), write(example.result, "node")
                lines.append(f"    {{ args: {arguments}, result: {result} }}, // {key}")
            lines.append("  ],")
        return "\n".join([*lines, "};", ""])

    def _function(self, function: str) -> str:
        _, template, keys = rules_of(self._task.rules, function)
        noun = "criterion" if len(keys) == 1 else "criteria"
        verb = "states" if len(keys) == 1 else "state"
        lines = [
            f"/** Return what {noun} {', '.join(keys)} {verb}; throws NoRuleError for any other input. */",
            f"export function {function}(...args) {{",
        ]
        if template:
            lines += _template_lines(template)
        return "\n".join([*lines, f"  return lookUp('{function}', args);", "}", ""])

    def _tests(self, module: str) -> str:
        rules = self._task.rules
        sources = [templates.tests(f"node/{name}.js.tmpl", self._values) for name in self._sources()]
        imports = ["import assert from 'node:assert/strict';", "import { test } from 'node:test';"]
        imports += [line for source in sources for line in source.imports]
        if rules.functions:
            imports.append(f"import * as subject from '../src/{module}';")
        bodies = {name: body for source in sources for name, body in source.bodies.items()}
        parts = [f"// Task {self._task.key}: {soften(self._task.title)}.\n", _sorted_imports(imports)]
        parts += [source.support for source in sources if source.support]
        parts += [_test(criterion.key, criterion.text, bodies[name]) for name, criterion in rules.skeleton.items()]
        parts += [_test(key, example.function, self._example_body(key)) for key, example in rules.examples]
        parts += [_test(key, template.function, self._template_body(template)) for key, template in rules.templates]
        parts += [_placeholder(f"criterion {entry.key}", placeholder_reason(entry)) for entry in rules.open]
        if not (rules.proven or rules.open):
            parts.append(_placeholder("the task", "the task names no criteria: name them, and write their tests"))
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
        call = ", ".join(write(argument, "node") for argument in example.arguments)
        return f"  assert.deepStrictEqual(subject.{example.function}({call}), {write(example.result, 'node')});\n"

    def _template_body(self, template: TextTemplate) -> str:
        lines = []
        for count in range(2):
            values = samples(template, count)
            call = ", ".join(write(values[parameter], "node") for parameter in template.parameters)
            lines.append(
                f"  assert.equal(subject.{template.function}({call}), {write(template.fill(values), 'node')});\n"
            )
        return "".join(lines)


_ABOUT_TABLES = """// Answers exactly what the criteria state. Any other input throws NoRuleError: replace the tables by
// the real rule once it is known.
"""
_LOOK_UP = """function lookUp(name, args) {
  const rule = rules[name].find((candidate) => isDeepStrictEqual(candidate.args, args));
  if (!rule) {
    throw new NoRuleError(`no rule: no criterion says what ${name}(${args.map(String).join(', ')}) returns`);
  }
  return structuredClone(rule.result);
}
"""


def _template_lines(template: TextTemplate) -> list[str]:
    """Write the branch of a template: an exact example comes first."""
    pieces = [write(template.pieces[0], "node")]
    for slot, piece in zip(template.slots, template.pieces[1:], strict=True):
        pieces += [slot, write(piece, "node")]
    text = " + ".join(piece for piece in pieces if piece != '""')
    count = len(template.parameters)
    return [
        f"  const exact = rules.{template.function}.some((candidate) => isDeepStrictEqual(candidate.args, args));",
        f"  if (!exact && args.length === {count} && args.every((value) => typeof value === 'string')) {{",
        f"    const [{', '.join(template.parameters)}] = args;",
        f"    return {text};",
        "  }",
    ]


def _test(key: str, about: str, body: str) -> str:
    # A name with `[1.5]` in it, such as a list in the criterion, would claim criterion 1.5.
    told = one_line(about).replace("[", "(").replace("]", ")")
    title = f"[{key}] {told}" if key else told
    return f"test({json.dumps(title, ensure_ascii=False)}, async () => {{\n{body}}});\n"


def _placeholder(name: str, reason: str) -> str:
    """Write a test that is skipped. Its name has no `[1.2]`: nothing may take it for proof."""
    title, skip = (json.dumps(text, ensure_ascii=False) for text in (f"{name} is not tested yet", one_line(reason)))
    return f"test({title}, {{ skip: {skip} }}, () => {{}});\n"


def _sorted_imports(lines: list[str]) -> str:
    return (
        "\n".join(sorted(dict.fromkeys(lines), key=lambda line: ("'node:" not in line, line.split(" from ")[1]))) + "\n"
    )


def _object(text: str) -> dict[str, object] | None:
    try:
        settings = json.loads(text)
    except ValueError:
        return None
    return settings if isinstance(settings, dict) else None
