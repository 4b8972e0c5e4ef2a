"""Which recipe is found from which files."""

import json

import pytest

from devstudio_sandbox import Recipe, custom, detect, detect_build, language_of


def found(files: dict[str, str]) -> Recipe | None:
    """Detect from file texts."""
    return detect(files, files.get)


def package(test: object) -> str:
    """Write a package.json with a test script."""
    return json.dumps({"scripts": {"test": test}})


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"package.json": package("node --test"), "pyproject.toml": ""}, "npm test"),
        ({"package.json": package("jest")}, "npm test"),
        ({"package.json": "{}", "src/a.test.mjs": ""}, "node --test"),
        ({"package.json": package('echo "Error: no test specified" && exit 1'), "a.test.js": ""}, "node --test"),
        ({"package.json": "{broken", "a.test.cjs": ""}, "node --test"),
        ({"package.json": package(["no", "text"]), "a-test.js": ""}, "node --test"),
        ({"package.json": json.dumps({"scripts": 3}), "a.test.js": ""}, "node --test"),
        ({"package.json": "[]", "test_a.py": ""}, "pytest"),
        ({"a.test.js": ""}, "node --test"),
        ({"pyproject.toml": ""}, "pytest"),
        ({"setup.cfg": ""}, "pytest"),
        ({"tests/test_a.py": ""}, "pytest"),
        ({"./deep/a_test.py": ""}, "pytest"),
        ({"test_a.py": "", "Makefile": "test:\n"}, "pytest"),
        ({"Makefile": "all:\n\ntest: all\n"}, "make test"),
    ],
)
def test_found(files: dict[str, str], name: str) -> None:
    recipe = found(files)
    assert recipe is not None
    assert recipe.name == name


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": ""},
        {"Makefile": "all:\n"},
        {"Makefile": "test := 1\n"},
        {"Makefile": "\ttest:\n"},
        {"package.json": "{}"},
        {"node_modules/x/a.test.js": ""},
        {"contest.py": ""},
        {"latest.js": ""},
    ],
)
def test_not_found(files: dict[str, str]) -> None:
    assert found(files) is None


@pytest.mark.parametrize(
    ("script", "reports"),
    [
        ("node --test", True),
        ("node --test --experimental-x 'test/**/*.js'", True),
        ("NODE_ENV=test node --test", True),
        ("node --test --test-reporter=dot", False),
        ("mocha", False),
        ("echo node; jest --test", False),
        ("node 'unclosed --test", False),
    ],
)
def test_only_nodes_own_runner_gets_reporters(script: str, reports: bool) -> None:  # noqa: FBT001 - a table's column
    recipe = found({"package.json": package(script)})
    assert recipe is not None
    assert (recipe.junit_path is not None) == ("NODE_OPTIONS" in recipe.env) == reports


def test_each_detection_has_a_report_of_its_own() -> None:
    first, second = (found({"test_a.py": ""}) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.junit_path != second.junit_path


def test_a_recipe_that_is_done_again_has_new_reports_and_is_else_the_same() -> None:
    for files in ({"test_a.py": ""}, {"a.test.js": ""}, {"package.json": package("node --test")}):
        recipe = detect(files, files.get, coverage=True)
        assert recipe is not None
        again = recipe.renewed()
        assert recipe.junit_path is not None
        assert again.junit_path != recipe.junit_path
        assert again.coverage_path != recipe.coverage_path
        text = repr((again.argv, again.env))
        assert recipe.token not in text
        assert text == repr((recipe.argv, recipe.env)).replace(recipe.token, again.token)
    make = Recipe("make test", "python", ("make", "test"))
    assert make.renewed() == make


@pytest.mark.parametrize(
    ("files", "measured"),
    [
        ({"test_a.py": ""}, True),
        ({"a.test.js": ""}, True),
        ({"package.json": package("node --test")}, True),
        ({"package.json": package("node --test --experimental-x")}, True),
        ({"package.json": package("node --test test/*.js")}, False),  # npm would put the option behind the files
        ({"package.json": package("jest")}, False),
        ({"Makefile": "test:\n"}, False),
    ],
)
def test_what_can_be_measured(files: dict[str, str], measured: bool) -> None:  # noqa: FBT001 - a table's column
    recipe = detect(files, files.get, coverage=True)
    assert recipe is not None
    assert (recipe.coverage_path is not None) == measured
    without = detect(files, files.get)
    assert without is not None
    assert without.coverage_path is None
    assert "coverage" not in repr((without.argv, without.env))


@pytest.mark.parametrize(
    ("files", "name", "language"),
    [
        ({"package.json": json.dumps({"scripts": {"build": "tsc"}}), "Makefile": "build:\n"}, "npm run build", "node"),
        ({"package.json": "{}", "Makefile": "build: x\n"}, "make build", "node"),
        ({"Makefile": "all:\n\nbuild:\n"}, "make build", "python"),
        ({"Makefile": "all:\n", "x.py": ""}, "make all", "python"),
        ({"Makefile": "build := 1\n", "x.py": ""}, "compileall", "python"),
        ({"src/x.py": ""}, "compileall", "python"),
    ],
)
def test_builds_are_found(files: dict[str, str], name: str, language: str) -> None:
    recipe = detect_build(files, files.get)
    assert recipe is not None
    assert (recipe.name, recipe.language, recipe.junit_path) == (name, language, None)


@pytest.mark.parametrize("files", [{}, {"README.md": ""}, {"package.json": package("x")}, {"Makefile": "test:\n"}])
def test_builds_that_are_not_there(files: dict[str, str]) -> None:
    assert detect_build(files, files.get) is None


def test_a_command_of_ones_own_names_its_reports() -> None:
    recipe = custom(["pytest", "--junitxml={report}", "{coverage}"], "python")
    assert recipe.argv == (
        "pytest",
        f"--junitxml={{workspace}}/{recipe.junit_path}",
        f"{{workspace}}/{recipe.coverage_path}",
    )
    plain = custom(["echo", "{other}"], language_of({"package.json"}))
    assert (plain.argv, plain.junit_path, plain.coverage_path) == (("echo", "{other}"), None, None)
    assert plain.language == "node"
