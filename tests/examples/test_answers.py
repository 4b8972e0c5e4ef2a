"""The examples hold what they promise: each criterion has tests, which pass, and fail when the code is wrong."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.answers import EXAMPLES, SLUGS, Suite, criteria_of, files_of, lay_over, run_suite, tasks_of

each_example = pytest.mark.parametrize("slug", SLUGS)
each_step = pytest.mark.parametrize(
    ("slug", "step"),
    [pytest.param(slug, step, id=f"{slug}-{task.key}") for slug in SLUGS for step, task in enumerate(tasks_of(slug))],
)

# The forms of EARS: IF/THEN, and the others with WHERE, WHILE and WHEN in this order. A criterion has one SHALL.
EARS = re.compile(r"(?:IF .+, THEN|(?:WHERE .+?, )?(?:WHILE .+?, )?(?:WHEN .+?,)?) ?THE SYSTEM SHALL [a-z].*\.")
NAMED = re.compile(r"""(?:criterion\("|test\('\[)(\d+\.\d+)["\]]""")
KEYWORD = re.compile(r"\b(?:WHEN|WHILE|IF|THEN|WHERE|SHALL)\b")

# Deliberate bugs: example, file, what is there, what stands there instead, and a criterion whose tests must notice.
BUGS = [
    ("semver", "semver/version.py", 'r"[0-9]+"', r'r"\d+"', "2.4"),
    ("semver", "semver/version.py", "_IDENTIFIER.fullmatch", "_IDENTIFIER.match", "2.4"),
    ("semver", "semver/version.py", "            _refuse_leading_zero(text, identifier)", "            pass", "2.2"),
    ("semver", "semver/version.py", 'len(number) > 1 and number.startswith("0")', 'number.startswith("0")', "2.2"),
    ("semver", "semver/version.py", "for part in parts]", "for part in reversed(parts)]", "1.1"),
    ("semver", "semver/version.py", 'tuple(part.split("."))', 'tuple(reversed(part.split(".")))', "1.2"),
    ("semver", "semver/version.py", '_identifiers(text, build, "build metadata")', "_prerelease(text, build)", "1.3"),
    ("semver", "semver/version.py", 'text += "+" +', 'text += "-" +', "1.4"),
    ("semver", "semver/version.py", "len(parts) != 3 or not all(parts)", "len(parts) < 3 or not all(parts)", "2.1"),
    ("semver", "semver/precedence.py", "version.minor, version.patch", "version.patch, version.minor", "3.1"),
    ("semver", "semver/version.py", "if len(text) > MAX_LENGTH", "if len(text) >= MAX_LENGTH", "2.5"),
    ("semver", "semver/version.py", "text[:_QUOTED_LENGTH]", "text", "2.6"),
    ("semver", "semver/version.py", 'tuple(part.split("."))', 'tuple(filter(None, part.split(".")))', "2.3"),
    ("semver", "semver/precedence.py", '(0, int(identifier), "") if identifier.isdigit() else ', "", "3.3"),
    ("semver", "semver/precedence.py", "else (1, 0, identifier)", "else (1, 0, identifier.lower())", "3.4"),
    ("semver", "semver/precedence.py", "else (1, 0, identifier)", "else (-1, 0, identifier)", "3.5"),
    ("semver", "semver/precedence.py", "is_release = not version.prerelease", "is_release = True", "3.2"),
    ("semver", "semver/precedence.py", "in version.prerelease)", "in version.prerelease[:1])", "3.6"),
    ("semver", "semver/precedence.py", "in version.prerelease)", "in version.prerelease + version.build)", "4.1"),
    ("semver", "semver/choice.py", "sorted(versions, key=precedence)", "sorted(versions, key=str)", "4.2"),
    ("semver", "semver/choice.py", "include_prereleases or not version.prerelease", "True", "4.4"),
    ("semver", "semver/choice.py", ", default=None", "", "4.5"),
    ("semver", "semver/choice.py", "max(candidates,", "max(reversed(list(candidates)),", "4.3"),
    ("rfc4180", "rfc4180/reader.py", "if at == len(text):", "if False:", "1.2"),
    ("rfc4180", "rfc4180/reader.py", 'text.startswith(",", at)', 'text.startswith(";", at)', "1.1"),
    ("rfc4180", "rfc4180/reader.py", '",\\r\\n]*', '",\\r\\n]+', "1.4"),
    ("rfc4180", "rfc4180/reader.py", "in scan(text)]", 'in scan(text)] or [[""]]', "1.6"),
    ("rfc4180", "rfc4180/reader.py", 'return "".join(parts), at', "return text[opening:at], at", "2.1"),
    ("rfc4180", "rfc4180/reader.py", "text[at:quote])", 'text[at:quote].replace("\\r\\n", "\\n"))', "2.2"),
    ("rfc4180", "rfc4180/reader.py", "return text[at:end], end", "return text[at:end].strip(), end", "1.3"),
    ("rfc4180", "rfc4180/reader.py", 'if not text.startswith("\\r\\n", at):', "if False:", "1.5"),
    ("rfc4180", "rfc4180/reader.py", "if text.startswith('\"', end):", "if False:", "2.4"),
    ("rfc4180", "rfc4180/reader.py", 'if at < len(text) and text[at] not in ",\\r\\n":', "if False:", "2.5"),
    ("rfc4180", "rfc4180/reader.py", "parts.append('\"')", "parts.append('\"\"')", "2.3"),
    ("rfc4180", "rfc4180/reader.py", 'never closed", text, opening)', 'never closed", text, at)', "3.4"),
    ("rfc4180", "rfc4180/reader.py", ".find('\"', at)", ".find('\"', at) % (len(text) + 1)", "2.6"),
    ("rfc4180", "rfc4180/errors.py", r'r"\r\n|\r|\n"', r'r"\r\n"', "3.4"),
    ("rfc4180", "rfc4180/errors.py", "offset - start + 1", "offset - start", "3.4"),
    ("rfc4180", "rfc4180/table.py", "if len(record) != expected:", "if len(record) > expected:", "3.3"),
    ("rfc4180", "rfc4180/table.py", "Table(records[0], records[1:])", "Table(records[0], records)", "3.1"),
    ("rfc4180", "rfc4180/table.py", "Table(None, records)", "Table(None, records[1:])", "3.2"),
    ("rfc4180", "rfc4180/table.py", "    if not records:", "    if False:", "3.5"),
    ("rfc4180", "rfc4180/writer.py", "'[\",\\r\\n]'", "'[\",\\n]'", "4.1"),
    ("rfc4180", "rfc4180/writer.py", "'[\",\\r\\n]'", "'[\", \\r\\n]'", "4.2"),
    ("rfc4180", "rfc4180/writer.py", "value.replace('\"', '\"\"')", "value", "4.1"),
    ("rfc4180", "rfc4180/writer.py", '+ "\\r\\n" for', '+ "\\n" for', "4.3"),
    (
        "rfc4180",
        "rfc4180/writer.py",
        '"".join(",".join(map(_field, row)) + "\\r\\n" for',
        '"\\r\\n".join(",".join(map(_field, row)) for',
        "4.4",
    ),
    ("rfc4180", "rfc4180/writer.py", "not row or ", "", "4.5"),
    ("luhn", "src/number.js", "MIN_DIGITS = 8", "MIN_DIGITS = 9", "1.1"),
    ("luhn", "src/number.js", "text.replace(/[ -]/g, '')", "text.replace(/[ ]/g, '')", "1.2"),
    ("luhn", "src/number.js", "(?:(?: [0-9]+)*|(?:-[0-9]+)*)", "(?:[ -][0-9]+)*", "1.3"),
    ("luhn", "src/number.js", "/^[0-9 -]*$/", r"/^[\d\s-]*$/", "1.4"),
    ("luhn", "src/number.js", "MAX_DIGITS = 19", "MAX_DIGITS = 20", "1.5"),
    ("luhn", "src/number.js", "'a card number has digits, spaces", "text + ' has digits, spaces", "1.6"),
    ("luhn", "src/luhn.js", "index % 2 === 0 ? digit * 2", "index % 2 === 1 ? digit * 2", "2.1"),
    ("luhn", "src/luhn.js", "product > 9 ? product - 9 : product", "product", "2.1"),
    ("luhn", "src/luhn.js", "String((10 - (sum % 10)) % 10)", "String(10 - (sum % 10))", "2.2"),
    ("luhn", "src/luhn.js", "return digits;", "return text;", "2.3"),
    ("luhn", "src/luhn.js", "index % 2 === 0 ? digit * 2 : digit", "digit", "2.5"),
    ("luhn", "src/luhn.js", "if (checkDigit(digits.slice(0, -1)) !== digits.at(-1))", "if (false)", "2.4"),
    ("luhn", "src/luhn.js", "MIN_PAYLOAD = 7", "MIN_PAYLOAD = 6", "2.6"),
    ("luhn", "src/card.js", "'petroleum", "'Petroleum", "3.1"),
    ("luhn", "src/card.js", "issuerDigits = 8 }", "issuerDigits = 6 }", "3.2"),
    ("luhn", "src/card.js", "number.slice(issuerDigits, -1)", "number.slice(8, -1)", "3.3"),
    ("luhn", "src/card.js", "(?:9|80)", "(?:9|8)", "3.4"),
    ("luhn", "src/card.js", "if (account === '')", "if (false)", "3.5"),
    ("luhn", "src/card.js", "validate(text);", "text.replace(/[ -]/g, '');", "3.6"),
]


@each_example
def test_every_criterion_is_well_formed_ears(slug: str) -> None:
    criteria = criteria_of((EXAMPLES / slug / "requirements.md").read_text("utf-8"))
    for key, text in criteria.items():
        assert EARS.fullmatch(text), f"{key}: {text}"
        assert KEYWORD.findall(text).count("SHALL") == 1, key
        assert ("IF" in KEYWORD.findall(text)) == ("THEN" in KEYWORD.findall(text)), key


@each_example
def test_there_are_three_or_four_requirements_with_three_to_six_criteria(slug: str) -> None:
    keys = list(criteria_of((EXAMPLES / slug / "requirements.md").read_text("utf-8")))
    sizes = {number: sum(key.startswith(f"{number}.") for key in keys) for number in {key[0] for key in keys}}
    assert len(sizes) in (3, 4)
    assert all(3 <= size <= 6 for size in sizes.values()), sizes


@each_example
def test_requirements_have_no_ids(slug: str) -> None:
    """The server adds them."""
    for document in (EXAMPLES / slug / "answers").glob("*.md"):
        assert "<!--" not in document.read_text("utf-8")


@each_example
def test_requirements_tell_a_story(slug: str) -> None:
    text = (EXAMPLES / slug / "requirements.md").read_text("utf-8")
    stories = re.findall(r"^\*\*User Story:\*\* As (?:a|an|the) .+, I want .+, so that .+\.$", text, re.MULTILINE)
    assert len(stories) == len(re.findall(r"^### Requirement ", text, re.MULTILINE))


@each_example
def test_the_answers_start_from_the_same_requirements(slug: str) -> None:
    folder = EXAMPLES / slug
    assert (folder / "answers/requirements.md").read_bytes() == (folder / "requirements.md").read_bytes()


@each_example
def test_the_design_has_its_sections(slug: str) -> None:
    design = (EXAMPLES / slug / "answers/design.md").read_text("utf-8")
    assert re.findall(r"^## (.+)$", design, re.MULTILINE) == [
        "Overview",
        "Architecture",
        "Components and Interfaces",
        "Data Models",
        "Error Handling",
        "Testing Strategy",
    ]


@each_example
def test_tasks_name_every_criterion_once(slug: str) -> None:
    criteria = criteria_of((EXAMPLES / slug / "requirements.md").read_text("utf-8"))
    tasks = tasks_of(slug)
    assert 2 <= len(tasks) <= 4
    assert [task.key for task in tasks] == [str(number) for number in range(1, len(tasks) + 1)]
    assert sorted(key for task in tasks for key in task.criteria) == sorted(criteria)


@each_example
def test_every_task_has_files_and_a_summary(slug: str) -> None:
    folder = EXAMPLES / slug / "answers/tasks"
    expected = {name for task in tasks_of(slug) for name in (task.key, f"{task.key}.summary.txt")}
    assert {entry.name for entry in folder.iterdir()} == expected
    for task in tasks_of(slug):
        assert len((folder / f"{task.key}.summary.txt").read_text("utf-8").splitlines()) == 1


@each_example
def test_a_project_and_a_session_are_described(slug: str) -> None:
    described = json.loads((EXAMPLES / slug / "example.json").read_text("utf-8"))
    assert described["project"].keys() == {"name", "description", "type", "template"}
    assert described["project"]["template"] == ("node" if slug == "luhn" else "python")
    assert described["session"].keys() == {"title", "description"}


@each_step
def test_a_task_brings_the_tests_of_its_criteria(slug: str, step: int) -> None:
    """A task must not lean on tests of another task for a criterion that it names."""
    task = tasks_of(slug)[step]
    assert _named_in_tests(files_of(slug, task)) == set(task.criteria)


@each_step
def test_the_suite_passes_after_each_task(slug: str, step: int, tmp_path: Path) -> None:
    tasks = tasks_of(slug)[: step + 1]
    lay_over(slug, tasks, tmp_path / "tree")
    suite = run_suite(tmp_path / "tree")
    assert suite.exit_code == 0, suite.output
    assert suite.tests
    assert all(test.passed and len(test.criteria) == 1 for test in suite.tests)
    assert suite.proven == {key for task in tasks for key in task.criteria}


@each_example
def test_python_answers_are_written_for_python_3_9(slug: str) -> None:
    for path in (EXAMPLES / slug / "answers/tasks").rglob("*.py"):
        source = path.read_text("utf-8")
        ast.parse(source, feature_version=(3, 9))
        assert "from __future__ import annotations" in source, path


@pytest.fixture(scope="module")
def broken_suites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Future[Suite]]]:
    """Run the suite of every example once with each bug, several at a time."""
    folder = tmp_path_factory.mktemp("bugs")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield [pool.submit(_run_with_bug, bug, folder / str(number)) for number, bug in enumerate(BUGS)]


@pytest.mark.parametrize(
    "number", [pytest.param(number, id=f"{bug[0]}-{bug[4]}-{number}") for number, bug in enumerate(BUGS)]
)
def test_a_bug_is_noticed(number: int, broken_suites: list[Future[Suite]]) -> None:
    suite = broken_suites[number].result()
    assert suite.exit_code != 0
    assert BUGS[number][4] in suite.broken, suite.output


@each_example
def test_every_criterion_has_a_bug_that_its_tests_notice(slug: str) -> None:
    criteria = criteria_of((EXAMPLES / slug / "requirements.md").read_text("utf-8"))
    assert {bug[4] for bug in BUGS if bug[0] == slug} == set(criteria)


def _run_with_bug(bug: tuple[str, str, str, str, str], tree: Path) -> Suite:
    slug, file, old, new, _ = bug
    lay_over(slug, tasks_of(slug), tree)
    source = (tree / file).read_text("utf-8")
    assert source.count(old) == 1, f"{old!r} is not in {file} exactly once"
    (tree / file).write_text(source.replace(old, new), "utf-8")
    return run_suite(tree)


def _named_in_tests(folder: Path) -> set[str]:
    """Return the criteria that the test files below ``folder`` name."""
    tests = [path for path in folder.rglob("*") if path.is_file() and path.parent.name in ("test", "tests")]
    return {key for path in tests for key in NAMED.findall(path.read_text("utf-8"))}
