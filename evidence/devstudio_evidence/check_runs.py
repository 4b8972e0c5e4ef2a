"""Checks runs and the commits they made: what was tested is what was committed, of the patch that was approved."""

from __future__ import annotations

from typing import Any

from devstudio_evidence import check_approvals, git_objects
from devstudio_evidence.check_objects import commit, compare_trees, sides, stated_sides
from devstudio_evidence.content import EVIDENCE_TYPE, PATCH_TYPE, Content
from devstudio_evidence.git_objects import Commit

TRAILER = "DevStudio-"


def check_runs(content: Content) -> None:
    """Check every run, and of those that committed a patch also the commit and the approvals behind it."""
    for run_id in content.below("runs"):
        folder = f"runs/{run_id}"
        run = content.json(f"{folder}/run.json")
        if run is None:
            continue
        with content.report.reading(f"{folder}/run.json"):
            if run["id"] != run_id:
                content.report.wrong(f"{folder}/run.json", f"This is the run {run['id']}.")
            if f"{folder}/statement.json" in content.members:
                _check_proof(content, folder, run)
            content.report.count("runs")


def _check_proof(content: Content, folder: str, run: dict[str, Any]) -> None:
    member = f"{folder}/statement.json"
    statement = content.statement(member, EVIDENCE_TYPE)
    if statement is None:
        return
    with content.report.reading(member):
        _check_run(content, member, run, statement)
        _check_log(content, folder, statement["log_sha256"])
        _check_base(content, member, statement)
        patch_member = f"patches/{statement['patch_id']}/envelope.json"
        patch = content.statement(patch_member, PATCH_TYPE)
        if patch is None:
            content.report.wrong(
                member, f"The patch {statement['patch_id']} that it commits is not shown to be signed."
            )
            return
        if content.digest(patch_member) != statement["patch_envelope_sha256"]:
            content.report.wrong(member, "It committed the patch under another envelope than the one in the bundle.")
        if statement["branch"] != patch["branch"]:
            content.report.wrong(member, f"It went to {statement['branch']}; approved was {patch['branch']}.")
        made = commit(content, statement["commit"], member)
        if made is not None:
            _check_commit(content, made, statement, patch)
            check_approvals.check_count(content, member, statement, patch, made)


def _check_run(content: Content, member: str, run: dict[str, Any], statement: dict[str, Any]) -> None:
    for name in ("tree", "commit", "branch", "isolation", "patch_id", "base_run_id"):
        if run[name] != statement[name]:
            content.report.wrong(member, f"The run has another {name} than its signed statement.")
    if statement["run_id"] != run["id"]:
        content.report.wrong(member, f"It was signed for another run: {statement['run_id']}.")
    if run["status"] != "success":
        content.report.wrong(member, f"A run that ended as {run['status']} proves nothing.")
    for criterion in statement["criteria"]:
        check_tests(content, member, run, criterion["key"], criterion["tests"])


def check_tests(content: Content, member: str, run: dict[str, Any], key: str, tests: list[str]) -> None:
    """Check that the tests that are to prove a criterion passed, as the run itself reports."""
    outcomes: dict[str, set[str]] = {}
    for test in run["tests"]:
        outcomes.setdefault(test["id"], set()).add(test["outcome"])
    if not tests:
        content.report.wrong(member, f"No test is named that proves {key}.")
    for test in tests:
        if test not in outcomes and not run["tests_complete"]:
            content.report.note(member, f"The run keeps only part of its tests; {test!r} for {key} is not among them.")
        elif outcomes.get(test) != {"passed"}:
            content.report.wrong(member, f"The test {test!r}, which is to prove {key}, did not pass in the run.")


def _check_log(content: Content, folder: str, digest: str | None) -> None:
    member = f"{folder}/log.sha256"
    if member not in content.members:
        if digest:
            content.report.wrong(member, "The digest of the log is missing.")
        return
    said = content.members[member].decode("ascii", "replace").split()
    if said[:1] != [digest]:
        content.report.wrong(member, "The digest of the log is not the one in the signed statement.")


def _check_base(content: Content, member: str, statement: dict[str, Any]) -> None:
    """Check the strict proof: without the change, the tests that prove each criterion did not pass."""
    base_id = statement["base_run_id"]
    strict = [criterion for criterion in statement["criteria"] if criterion["strict"]]
    if strict and base_id is None:
        content.report.wrong(member, "A criterion is called strictly proven, but no run without the change is named.")
    if base_id is None:
        return
    name = f"runs/{base_id}/run.json"
    if name not in content.members:
        content.report.wrong(member, f"The run {base_id} of the tests without the change is not in the bundle.")
        return
    base = content.json(name)
    with content.report.reading(name):
        if base["status"] == "success":
            content.report.wrong(name, "Without the change, the tests ended as success: that is no strict proof.")
        passed = {test["id"] for test in base["tests"] if test["outcome"] == "passed"}
        for criterion in strict:
            if passed & set(criterion["tests"]):
                said = (
                    f"The tests that prove {criterion['key']} passed without the change, too: that is no strict proof."
                )
                content.report.wrong(name, said)
        content.report.count("strict proofs")


def _check_commit(content: Content, made: Commit, statement: dict[str, Any], patch: dict[str, Any]) -> None:
    member = f"commits/{statement['commit']}"
    if made.tree != statement["tree"]:
        content.report.wrong(member, "The tree of the commit is not the one that was tested.")
    if len(made.parents) != 1:
        content.report.wrong(member, f"The commit has {len(made.parents)} parents; a patch is committed on one.")
    else:
        parent = commit(content, made.parents[0], member)
        if parent is not None:
            if made.tree != patch["result_tree"] or parent.tree != patch["base_tree"]:
                content.report.note(member, "The branch had moved on; compared is what the commit changed there.")
            compare_trees(content, member, parent.tree, made.tree, patch["files"])
            _check_base_tree(content, parent.tree, statement, patch)
    _check_trailers(content, member, made, statement, patch)


def _check_base_tree(content: Content, before: str, statement: dict[str, Any], patch: dict[str, Any]) -> None:
    """Check that the run without the change had what was there before, and of the patch at most a part."""
    name = f"runs/{statement['base_run_id']}/run.json"
    base = content.json(name) if name in content.members else None
    if base is None:
        return
    with content.report.reading(name):
        if base["tree"] == statement["tree"]:
            content.report.wrong(name, "The run without the change was made on the tree with the change.")
            return
        try:
            found = git_objects.changes(content.trees, before, base["tree"])
        except git_objects.ObjectMissing as missing:
            if not content.left_out(f"trees/{missing}"):
                content.report.wrong(name, f"The tree {missing} is not in the bundle, so it cannot be compared.")
            return
        said = {str(file["path"]): stated_sides(file) for file in patch["files"]}
        for change in found:
            if said.get(change.path) != sides(change):
                content.report.wrong(name, f"The run without the change had another {change.path!r} than the patch.")


def _check_trailers(
    content: Content, member: str, made: Commit, statement: dict[str, Any], patch: dict[str, Any]
) -> None:
    wanted = {
        "Run": [statement["run_id"]],
        "Patch": [f"{patch['patch_id']} sha256:{patch['diff_sha256']}"],
    }
    said = {
        "Envelope": f"sha256:{statement['patch_envelope_sha256']}",
        "Base-Run": str(statement["base_run_id"]),
        "Required-Approvals": str(patch["required_approvals"]),
    }
    wanted.update({name: [value] for name, value in said.items() if TRAILER + name in made.trailers})
    for name, values in wanted.items():
        if made.trailers.get(TRAILER + name) != values:
            content.report.wrong(member, f"The trailer {TRAILER}{name} of the commit is not {values[0]}.")
    tasks = [value.split()[-1:] for value in made.trailers.get(f"{TRAILER}Task", [])]
    if tasks != [[patch["task_id"]]]:
        content.report.wrong(member, f"The trailer {TRAILER}Task of the commit does not name {patch['task_id']}.")
