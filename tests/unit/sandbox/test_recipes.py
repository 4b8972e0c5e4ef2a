"""Which recipe is found from which files."""

import json

import pytest

from devstudio_sandbox import Recipe, detect


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
