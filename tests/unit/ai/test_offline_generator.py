"""What is generated offline is written to disk and run; the reports are read as the sandbox reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstudio_sandbox.junit import IN_NAME
from devstudio_server.ai.offline import node_code
from devstudio_server.ai.offline.generator import propose
from devstudio_server.ai.offline.names import LABEL
from devstudio_server.ai.subjects import CriterionText
from support.ai_world import MemoryReader, generation_subject, plan_subject
from support.generated_project import generate, run, tasks_of

WISH = """# Sums
- add(2, 3) returns 5
- WHEN `add(-1, 1)` is called, THE SYSTEM SHALL return 0.
- When a user opens the page, the system should show a list
- WHEN greet is called with a name THE SYSTEM SHALL return Hello, <name>!
- WHEN greet("") is called THE SYSTEM SHALL return "Hello!"
- mean([1.5, 2.5]) returns 2.0
- WHEN add(2, 3) is called THE SYSTEM SHALL return 6
- QUANDO `ativo("x")` for chamado, O SISTEMA DEVE devolver verdadeiro.
- WHEN lookup({"a": [1, null]}, "é \\"q\\"") is called, THE SYSTEM SHALL return {"b": false}
"""
EXACT = {"2.1", "2.2", "2.4", "2.5", "2.6", "2.8", "2.9"}
SKELETON = {"api": 4, "web": 5, "integration": 6, "mobile": 5}
COMBINATIONS = [(language, kind) for language in ("python", "node", "blank") for kind in SKELETON]

# What breaks each promise of a skeleton: (file, text, text instead).
BREAKS: dict[tuple[str, str], list[tuple[str, str, str]]] = {
    ("python", "api"): [
        ("cafe_orders/__init__.py", "0.1.0", "0.2.0"),
        ("cafe_orders/server.py", "HTTPStatus.NOT_FOUND", "HTTPStatus.OK"),
    ],
    ("python", "web"): [
        ("cafe_orders/__init__.py", "0.1.0", "0.2.0"),
        ("cafe_orders/server.py", "title=html.escape(TITLE)", 'title="Welcome"'),
        ("cafe_orders/server.py", "text=html.escape(text)", "text=text"),
    ],
    ("python", "integration"): [
        ("cafe_orders/__init__.py", "0.1.0", "0.2.0"),
        ("cafe_orders/config.py", '_text(settings, "target")', '_text(settings, "source")'),
        ("cafe_orders/config.py", "except OSError as error", "except KeyError as error"),
        ("cafe_orders/config.py", "except ValueError as error", "except KeyError as error"),
    ],
    ("python", "mobile"): [
        ("cafe_orders/__init__.py", "0.1.0", "0.2.0"),
        ("cafe_orders/cache.py", "write_text(body", 'write_text("?"'),
        ("cafe_orders/cache.py", "no answer for {path} was kept", "nothing was kept"),
    ],
    ("node", "api"): [
        ("src/version.js", "0.1.0", "0.2.0"),
        ("src/server.js", "response, 404", "response, 200"),
    ],
    ("node", "web"): [
        ("src/version.js", "0.1.0", "0.2.0"),
        ("src/server.js", "<title>${escape(TITLE)}", "<title>Welcome"),
        ("src/server.js", "<p>${escape(text)}", "<p>${text}"),
    ],
    ("node", "integration"): [
        ("src/version.js", "0.1.0", "0.2.0"),
        ("src/config.js", "target: text(settings, 'target')", "target: text(settings, 'source')"),
        ("src/config.js", "`${path} ${problem}: ${error.message}`", "'broken'"),
        ("src/config.js", "`${path} holds JSON", "`It holds JSON"),
    ],
    ("node", "mobile"): [
        ("src/version.js", "0.1.0", "0.2.0"),
        ("src/cache.js", "path), body)", "path), '?')"),
        ("src/cache.js", "no answer for ${path} was kept", "nothing was kept"),
    ],
}


def subject_for(language: str, kind: str, **changes: object) -> dict[str, object]:
    stages = ("requirements", "design", "tasks")
    return {"language": language, "project_type": kind, "prompt": WISH, "stages": stages, **changes}


@pytest.mark.parametrize(("language", "kind"), COMBINATIONS)
def test_reports_prove_exactly_what_is_checked(tmp_path: Path, language: str, kind: str) -> None:
    tasks = tasks_of(plan_subject(**subject_for(language, kind)))
    report = run(tmp_path, language, generate(tasks))
    skeleton = {f"1.{number}" for number in range(1, SKELETON[kind] + 1)}
    assert report.criteria() == dict.fromkeys(skeleton | EXACT, "proven")
    assert report.failures() == ()
    assert sum(test.outcome == "skipped" for test in report.tests) == 2  # 2.3 is open, 2.7 contradicts 2.1


@pytest.mark.parametrize(("language", "kind"), BREAKS)
def test_no_test_of_a_skeleton_passes_when_its_promise_is_broken(tmp_path: Path, language: str, kind: str) -> None:
    files = generate(tasks_of(plan_subject(**subject_for(language, kind)))[:1])
    for path, text, instead in BREAKS[language, kind]:
        assert text in files[path]
        files[path] = files[path].replace(text, instead)
    outcomes = run(tmp_path, language, files).criteria()
    assert outcomes == {f"1.{number}": "failed" for number in range(1, SKELETON[kind] + 1)}


@pytest.mark.parametrize("language", ["python", "node"])
def test_exact_tests_fail_when_the_function_is_wrong(tmp_path: Path, language: str) -> None:
    files = generate(tasks_of(plan_subject(**subject_for(language, "api")))[1:])
    (module,) = (path for path in files if "task" in path and "test" not in path.split("/")[0])
    wrong = {"python": ("    return ", "    return 7 #"), "node": ("  return ", "  return 7; //")}[language]
    files[module] = files[module].replace(*wrong)
    assert run(tmp_path, language, files).criteria() == dict.fromkeys(EXACT, "failed")


@pytest.mark.parametrize("language", ["python", "node"])
def test_any_other_input_has_no_rule(tmp_path: Path, language: str) -> None:
    files = generate(tasks_of(plan_subject(**subject_for(language, "api")))[1:])
    if language == "python":
        files["tests/test_more.py"] = """import pytest
from cafe_orders import task_2_implement_requirement_2_sums as subject

@pytest.mark.parametrize("arguments", [(2, 4), (2.0, 3), (True, 3), (2,), ()])
def test_no_rule(arguments):
    with pytest.raises(subject.NoRuleError, match="no rule"):
        subject.add(*arguments)

def test_template():
    with pytest.raises(subject.NoRuleError):
        subject.greet(7)
    assert subject.greet("{x}") == "Hello, {x}!"
    found = subject.lookup({"a": [1, None]}, 'é "q"')
    found["b"] = 7
    assert subject.lookup({"a": [1, None]}, 'é "q"') == {"b": False}
"""
    else:
        files["test/more.test.js"] = """import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as subject from '../src/task-2-implement-requirement-2-sums.js';

test('no rule', () => {
  for (const args of [[2, 4], ['2', 3], [2], []]) {
    assert.throws(() => subject.add(...args), (error) => error instanceof subject.NoRuleError);
  }
  assert.throws(() => subject.greet(7), subject.NoRuleError);
  assert.equal(subject.greet('${x}'), 'Hello, ${x}!');
});
"""
    report = run(tmp_path, language, files)
    assert report.failures() == ()
    assert any("no rule" in test.name or "no_rule" in test.name for test in report.tests)


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize(
    "name",
    [
        "json",
        "2048",
        '"; import os #',
        "*/ alert(1) //",
        "''' \\",
        "日本",
        "!!!",
        "class",
        "a\nb",
        "`x` ${y} {z} %%{q} <b>",
    ],
)
def test_hostile_project_and_task_names_break_nothing(tmp_path: Path, language: str, name: str) -> None:
    tasks = tasks_of(plan_subject(**subject_for(language, "web", project_name=name)))
    hostile = generation_subject(
        project_name=name,
        project_type="web",
        language=language,
        task_key="9",
        task_title=f'{name} """ */ \\',
        criteria=(
            CriterionText("9.1", f'THE SYSTEM SHALL {name} [1.1] """ \' ` ${{x}}\n*/ \\'),
            CriterionText("9.2", ""),
        ),
    )
    report = run(tmp_path, language, generate([*tasks, hostile]))
    assert report.failures() == ()
    assert {key for key, outcome in report.criteria().items() if outcome == "proven"} == {
        *(f"1.{number}" for number in range(1, 6)),
        *EXACT,
    }


def test_an_edited_criterion_of_the_skeleton_is_not_claimed() -> None:
    task = tasks_of(plan_subject(**subject_for("python", "api")))[0]
    edited = tuple(CriterionText(criterion.key, criterion.text.replace("200", "204")) for criterion in task.criteria)
    files = generate([generation_subject(**{**task.__dict__, "criteria": edited})])
    tests = next(text for path, text in files.items() if path.startswith("tests/"))
    assert '@pytest.mark.criterion("1.2")' in tests
    assert '@pytest.mark.criterion("1.3")' not in tests
    assert "write this test: WHEN a client sends GET /health" in tests


def test_a_list_in_a_criterion_does_not_name_another_criterion() -> None:
    name = node_code._test("1.1", "return [1.5] and [2.1]", "").splitlines()[0]
    assert IN_NAME.findall(name) == ["1.1"]


def test_everything_is_labelled() -> None:
    for language in ("python", "node"):
        tasks = tasks_of(plan_subject(**subject_for(language, "api")))
        for path, text in generate(tasks).items():
            assert LABEL in text, path
        assert propose(tasks[0], None).summary.startswith(LABEL)


def test_tasks_do_not_share_files_except_the_common_ones() -> None:
    tasks = tasks_of(plan_subject(**subject_for("python", "api")))
    first, second = (
        {file.path: file.content for file in propose(task, None).files if task is not None} for task in tasks[:2]
    )
    shared = first.keys() & second.keys()
    assert shared == {"pyproject.toml", "cafe_orders/__init__.py"}
    assert all(first[path] == second[path] for path in shared)


def test_generating_again_replaces_our_files_and_keeps_edited_ones() -> None:
    task = tasks_of(plan_subject(**subject_for("python", "api")))[1]
    files = generate([task])
    module, tests = (
        "cafe_orders/task_2_implement_requirement_2_sums.py",
        "tests/test_task_2_implement_requirement_2_sums.py",
    )
    fewer = generation_subject(**{**task.__dict__, "criteria": task.criteria[:1]})
    again = generate([fewer], files)
    assert again.keys() == files.keys()
    assert again[tests] != files[tests]
    edited = {**files, tests: files[tests] + "# mine\n"}
    beside = generate([fewer], edited)
    assert beside[tests] == edited[tests]
    assert beside.keys() - files.keys() == {tests.replace(".py", "_2.py")}
    assert beside[module] != files[module]


def test_files_of_people_are_left_alone() -> None:
    task = tasks_of(plan_subject(**subject_for("python", "api")))[0]
    mine = {
        "README.md": "# Mine\n",
        "cafe_orders/server.py": "def make_server(): ...\n",
        "pyproject.toml": "[project]\n",
    }
    subject = generation_subject(**{**task.__dict__, "files": tuple(mine)})
    change = propose(subject, MemoryReader(mine))
    assert not mine.keys() & {file.path for file in change.files}
    assert "Left as they are: pyproject.toml, README.md, cafe_orders/server.py" in change.summary


@pytest.mark.parametrize(
    ("text", "extension", "written"),
    [
        ('{"name": "x"}', "mjs", True),
        ('{"type": "module", "scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}', "js", True),
        ('{"type": "module", "scripts": {"test": "jest", "lint": "eslint"}}', "js", False),
        ("not json", "mjs", False),
    ],
)
def test_an_existing_package_json_only_gets_a_missing_test_script(text: str, extension: str, *, written: bool) -> None:
    task = tasks_of(plan_subject(**subject_for("node", "api")))[1]
    files = generate([task], {"package.json": text})
    assert any(path.endswith(f".test.{extension}") for path in files)
    assert (files["package.json"] != text) == written
    if written:
        assert '"test": "node --test"' in files["package.json"]


def test_modules_beside_common_js_run(tmp_path: Path) -> None:
    tasks = tasks_of(plan_subject(**subject_for("node", "web")))
    report = run(tmp_path, "node", generate(tasks, {"package.json": '{"name": "x"}'}))
    assert {key for key, outcome in report.criteria().items() if outcome == "proven"} >= EXACT


def test_a_task_without_criteria_gets_a_stub_and_a_skipped_test(tmp_path: Path) -> None:
    files = generate([generation_subject()])
    report = run(tmp_path, "python", files)
    assert [test.outcome for test in report.tests] == ["skipped"]
    assert report.criteria() == {}
    assert '"""Take orders.' in files["cafe_orders/task_1_take_orders.py"]
