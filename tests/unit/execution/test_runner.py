"""What a real process makes of a plan: its report, its log, its coverage, its artifacts, and its end."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from devstudio_sandbox import ArchiveEntry, Limits, Recipe, Sandbox, pack
from devstudio_server.execution.artifacts import keep_artifacts
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.plans import RunPlan, find_recipe, settle
from devstudio_server.execution.results import RunResult
from devstudio_server.execution.run_settings import RunCommands, SettingsValues
from devstudio_server.execution.runner import SandboxJob, SandboxRunner
from devstudio_server.execution.schemas import RunStatus, RunType
from devstudio_server.kit.ids import new_id
from devstudio_server.scm.git import EMPTY_TREE
from support.domain_world import DomainWorld

DEFAULTS = SettingsValues()


def plan_of(
    domain: DomainWorld, files: dict[str, str], settings: SettingsValues = DEFAULTS, kind: RunType = RunType.TEST
) -> RunPlan | None:
    """Settle what is run for ``files``."""
    repository = domain.git.repository(domain.actor.tenant_id, new_id())
    repository.create("main")
    tree = repository.change(EMPTY_TREE, {path: text.encode() for path, text in files.items()})
    recipe = find_recipe(kind, repository, tree, settings)
    return None if recipe is None else settle(recipe, settings, RunPolicy())


def run(
    domain: DomainWorld, files: dict[str, str], plan: RunPlan, kind: RunType = RunType.TEST
) -> tuple[RunResult, str, UUID]:
    """Run ``plan`` on ``files`` in a plain process."""
    run_id = new_id()

    def opened(sandbox: Sandbox, recipe: Recipe) -> None:
        assert recipe.token != plan.recipe.token or not recipe.token, "a run's reports have names of their own"
        assert domain.control.active() == [run_id]
        assert sandbox.isolation == "process"

    job = SandboxJob(
        run_id=run_id,
        tenant_id=domain.actor.tenant_id,
        kind=kind,
        plan=plan,
        archive=lambda: pack(ArchiveEntry(path, text.encode()) for path, text in files.items()),
        opened=opened,
        keep=lambda archive: keep_artifacts(domain.files, domain.actor.tenant_id, run_id, archive),
    )
    with domain.logs.writer(domain.actor.tenant_id, run_id) as log:
        result = domain.ports.get(SandboxRunner).run(job, log)
    text = domain.logs.read(domain.actor.tenant_id, run_id, 0, 1_000_000).decode()
    assert domain.control.active() == []
    return result, text, run_id


def test_a_real_run_reports_and_logs(domain: DomainWorld) -> None:
    files = {"dir/test_a.py": "def test_one():\n    print('HELLO')\n"}
    plan = plan_of(domain, files)
    assert plan is not None
    result, log, _ = run(domain, files, replace(plan, note="What is tested."))
    assert (result.end.status, [test.name for test in result.tests]) == (RunStatus.SUCCESS, ["test_one"])
    assert result.tests[0].file == "dir/test_a.py"
    assert result.metrics["duration"] > 0
    assert result.metrics["log_bytes_dropped"] == 0
    for line in (
        *("Opening a python sandbox (process)", "Isolation: process", "What is tested."),
        *("HELLO", "success: 1 tests passed."),
    ):
        assert line in log


def test_a_tree_without_tests_has_no_plan(domain: DomainWorld) -> None:
    assert plan_of(domain, {"README.md": "x\n"}) is None
    assert plan_of(domain, {"README.md": "x\n"}, kind=RunType.BUILD) is None


def test_a_deadline_ends_a_run_and_is_named(domain: DomainWorld) -> None:
    files = {"test_a.py": "import time\n\ndef test_a():\n    time.sleep(60)\n"}
    plan = plan_of(domain, files)
    assert plan is not None
    result, _, _ = run(domain, files, replace(plan, deadline_s=1.5))
    assert result.end.status is RunStatus.TIMEOUT
    assert "deadline of 1.5 s" in result.end.reason


def test_a_report_that_cannot_be_read_is_no_proof(domain: DomainWorld) -> None:
    files = {
        "test_a.py": "def test_a():\n    pass\n",
        "conftest.py": (
            "def pytest_unconfigure(config):\n    import pathlib\n"
            "    for file in pathlib.Path('.').glob('.devstudio-junit-*.xml'):\n"
            "        file.write_text('<!DOCTYPE x>')\n"
        ),
    }
    plan = plan_of(domain, files)
    assert plan is not None
    result, log, _ = run(domain, files, plan)
    assert result.end.status is RunStatus.FAILED
    assert "report" in result.end.reason
    assert result.proven == set()
    assert "cannot be read" in log


def test_a_command_of_ones_own_has_its_reports_read(domain: DomainWorld) -> None:
    script = (
        "import sys\n"
        "open(sys.argv[1], 'w').write('<testsuite><testcase name=\"a [1.1]\"/></testsuite>')\n"
        "open(sys.argv[2], 'w').write('SF:lib/x.py\\nDA:1,1\\nDA:2,0\\nend_of_record\\n')\n"
    )
    argv = ["python3", "own.py", "{report}", "{coverage}"]
    settings = SettingsValues(commands=RunCommands(test=argv), env={"COLOUR": "red"})
    plan = plan_of(domain, {"own.py": script}, settings)
    assert plan is not None
    assert (plan.recipe.name, plan.recipe.env["COLOUR"]) == ("command", "red")
    result, _, _ = run(domain, {"own.py": script}, plan)
    assert (result.end.status, result.end.reason, result.proven) == (RunStatus.SUCCESS, "1 tests passed.", {"1.1"})
    assert result.coverage is not None
    assert (result.coverage.lines_covered, result.coverage.lines_total, result.coverage.percent) == (1, 2, 50.0)


def test_a_build_that_fails_points_to_the_place(domain: DomainWorld) -> None:
    files = {"pkg/good.py": "x = 1\n", "pkg/bad.py": "x = 1\ndef f(:\n    pass\n"}
    plan = plan_of(domain, files, kind=RunType.BUILD)
    assert plan is not None
    result, _, _ = run(domain, files, plan, RunType.BUILD)
    assert result.end.status is RunStatus.FAILED
    assert result.end.reason == "`compileall` ended with exit code 1; first: pkg/bad.py:2: SyntaxError: invalid syntax."
    assert [(place.file, place.line) for place in result.failures] == [("pkg/bad.py", 2)]


def test_what_a_build_leaves_is_kept_and_nothing_else(domain: DomainWorld) -> None:
    steps = ("mkdir -p dist/deep", "echo a > dist/deep/ä.txt", "echo b > other", "ln -s ../other dist/l")
    files = {"Makefile": "build:\n\t" + "\n\t".join(steps) + "\n"}
    plan = plan_of(domain, files, kind=RunType.BUILD)
    assert plan is not None
    result, log, run_id = run(domain, files, plan, RunType.BUILD)
    assert (result.end.status, result.end.reason) == (RunStatus.SUCCESS, "The build passed.")
    assert [(artifact.name, artifact.size) for artifact in result.artifacts] == [("dist/deep/ä.txt", 2)]
    kept = b"".join(domain.files.open(domain.actor.tenant_id, run_id, "artifacts/dist/deep/ä.txt"))
    assert kept == b"a\n"
    assert "Kept 1 artifacts, 2 bytes." in log


def test_too_many_artifacts_are_told_and_change_no_end(domain: DomainWorld) -> None:
    files = {"Makefile": "build:\n\tmkdir dist\n\tseq 1 101 | while read n; do echo > dist/$$n; done\n"}
    plan = plan_of(domain, files, kind=RunType.BUILD)
    assert plan is not None
    result, log, _ = run(domain, files, plan, RunType.BUILD)
    assert (result.end.status, result.artifacts) == (RunStatus.SUCCESS, [])
    assert "No artifacts are kept" in log


@pytest.mark.parametrize(
    ("settings", "timeout_s", "deadline_s"),
    [
        (SettingsValues(), None, 600),
        (SettingsValues(deadline_s=30), None, 30),
        (SettingsValues(deadline_s=30), 20, 20),
        (SettingsValues(deadline_s=86_400), None, 600),
    ],
)
def test_a_plan_keeps_to_the_servers_limits(settings: SettingsValues, timeout_s: float | None, deadline_s: int) -> None:
    recipe = Recipe("make test", "python", ("make", "test"))
    settings.limits.cpus, settings.limits.pids = 64.0, 20
    plan = settle(recipe, settings, RunPolicy(), timeout_s=timeout_s)
    assert plan.deadline_s == deadline_s
    assert plan.limits == replace(Limits(), pids=20)
    assert RunPlan.from_json(plan.to_json()) == plan
