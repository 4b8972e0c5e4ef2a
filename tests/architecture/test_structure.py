"""Rules of the house that a linter cannot say: sizes, who commits, what is declared, and what is written down."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import devstudio_server
from devstudio_server._version import __version__
from devstudio_server.auth import Permission
from devstudio_server.db.base import TenantRow
from devstudio_server.db.registry import all_tables
from devstudio_server.kit.errors import AppError
from devstudio_server.openapi import document, main
from devstudio_server.operations import all_operations

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVER = sorted((ROOT / "devstudio_server").rglob("*.py"))
SANDBOX = sorted((ROOT / "sandbox").rglob("*.py"))
MAX_FILE_LINES = 450
MAX_HANDLER_LINES = 15
OPEN_TO_ALL = {
    "get_health",
    "get_liveness",
    "get_me",
    "get_readiness",
    "create_launch_code",
    "sign_out",
    "list_signing_keys",  # public halves: whoever checks a bundle needs them
}
"""Operations that any signed-in person may call."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), name(path))


def import_all() -> None:
    for module in pkgutil.walk_packages(devstudio_server.__path__, "devstudio_server."):
        importlib.import_module(module.name)


def subclasses(kind: type) -> Iterator[type]:
    for found in kind.__subclasses__():
        yield found
        yield from subclasses(found)


def test_openapi_yaml_is_what_the_code_declares(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    made = capsys.readouterr().out
    assert (ROOT / "openapi.yaml").read_text() == made, "run `make openapi`"
    assert yaml.safe_load(made) == document()


def test_every_operation_asks_for_a_permission_that_exists() -> None:
    unknown = [o.id for o in all_operations() if o.permission is not None and not isinstance(o.permission, Permission)]
    assert unknown == []


def test_only_what_concerns_oneself_is_open_to_every_signed_in_person() -> None:
    unguarded = {operation.id for operation in all_operations() if operation.permission is None}
    assert unguarded == OPEN_TO_ALL


def test_operation_ids_are_unique() -> None:
    ids = [operation.id for operation in all_operations()]
    assert sorted(set(ids)) == sorted(ids)


def test_files_are_of_a_size_to_feel_at_home_in() -> None:
    lines = {name(path): len(path.read_text().splitlines()) for path in SERVER + SANDBOX}
    long = {path: count for path, count in lines.items() if count > MAX_FILE_LINES}
    assert long == {}


def test_only_the_unit_of_work_commits() -> None:
    calls = {
        f"{name(path)}:{node.lineno}"
        for path in SERVER
        if path.parts[-2:] != ("db", "unit_of_work.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
        if not node.args  # with arguments it is git's
    }
    assert calls == set()


def test_handlers_parse_call_and_answer() -> None:
    long = {
        f"{name(path)}:{function.name}": span
        for path in SERVER
        if path.name == "handlers.py" and path.parent.name != "web"
        for function in ast.walk(parsed(path))
        if isinstance(function, ast.FunctionDef)
        if (span := (function.end_lineno or 0) - function.lineno + 1) > MAX_HANDLER_LINES
    }
    assert long == {}


def test_imports_keep_to_the_layers() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        env={"PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in (".", "sandbox", "kernels", "evidence"))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "0 broken" in done.stdout


def test_a_repository_is_imported_only_inside_its_own_domain() -> None:
    wrong = [
        f"{name(path)}: {node.module}"
        for path in SERVER
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
        if (found := re.fullmatch(r"devstudio_server\.(\w+)\.repository", node.module or ""))
        if path.parent.name != found.group(1)
    ]
    assert wrong == []


def test_every_table_belongs_to_a_tenant() -> None:
    metadata = all_tables()
    assert len(metadata.tables) > 10
    for table in metadata.tables.values():
        assert table.name.startswith("ds_")
        assert not table.c.tenant_id.nullable, table.name
        assert any("tenant_id" in index.columns for index in table.indexes), table.name
    mapped = {str(kind.__tablename__) for kind in subclasses(TenantRow) if hasattr(kind, "__tablename__")}
    assert mapped == set(metadata.tables)


def test_no_statement_changes_audited_rows_past_the_recorders() -> None:
    """`update(…)`, `delete(…)` and `insert(…)` flush no row, so neither audit nor events would hear of them."""
    all_tables()
    silent = {kind.__name__ for kind in subclasses(TenantRow) if kind.__subject__ is None}
    touched = {
        (f"{name(path)}:{call.lineno}", call.args[0].id)
        for path in SERVER
        for call in ast.walk(parsed(path))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args
        if call.func.id in {"update", "delete", "insert"} and isinstance(call.args[0], ast.Name)
    }
    assert touched, "the test looks for what is no longer there"
    assert {place for place, kind in touched if kind not in silent} == set()


def test_error_classes_say_what_they_mean() -> None:
    import_all()
    found = dict.fromkeys(subclasses(AppError))  # once each, however many bases it has
    classes = [kind for kind in found if kind.__module__.startswith("devstudio_server.")]
    assert len(classes) > 20
    statuses = {400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 421, 422, 429, 500, 501, 502, 503, 504, 507}
    for kind in classes:
        if kind.__name__ == "HttpError":  # made for a status that has no class of its own
            continue
        assert (kind.__doc__ or "").strip(), kind
        assert kind.__doc__ != AppError.__doc__, kind
        assert getattr(kind, "status", 0) in statuses, kind
        assert getattr(kind, "title", ""), kind
    names = [kind.__name__ for kind in classes if kind.__name__ != "HttpError"]
    assert sorted(set(names)) == sorted(names), "the name is the problem's type, so it is unique"


def test_every_dependency_is_explained() -> None:
    path = ROOT / "docs" / "dependencies.md"
    assert path.exists(), "docs/dependencies.md explains each dependency"
    section = path.read_text().split("## Python: run time")[1].split("\n## ")[0].split("\n### ")[0]
    explained = set(re.findall(r"^\| `([^`]+)` \| \S", section, re.MULTILINE))
    declared = {re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in PYPROJECT["project"]["dependencies"]}
    assert declared - explained == set(), "in pyproject.toml, but not in docs/dependencies.md"
    assert explained - declared == set(), "in docs/dependencies.md, but not in pyproject.toml"


def test_the_version_is_said_in_one_place() -> None:
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PYPROJECT["project"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "devstudio_server/_version.py"
    assert document()["info"]["version"] == __version__ == devstudio_server.__version__
    said = re.compile(rf"""(?i)version\w*\s*[:=]\s*["']{re.escape(__version__)}["']""")
    assert [name(path) for path in SERVER if said.search(path.read_text())] == ["devstudio_server/_version.py"]


@pytest.mark.parametrize("path", SERVER, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(parsed(path))
