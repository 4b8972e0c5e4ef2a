"""Checks tasks: each proven criterion rests on a signed run, for the very text that the requirements have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstudio_evidence import criteria
from devstudio_evidence.check_runs import check_tests
from devstudio_evidence.content import EVIDENCE_TYPE, Content

EVIDENCE = "evidence.json"
REQUIREMENTS = "session/requirements.md"
POLICY = "policy.json"
Texts = Mapping[str, criteria.CriterionText]


def check_tasks(content: Content) -> None:
    """Check what is said to be proven, task by task."""
    said = content.json(EVIDENCE)
    policy = content.json(POLICY)
    if said is None or policy is None:
        return
    if REQUIREMENTS not in content.members:
        content.report.wrong(REQUIREMENTS, "The requirements are missing.")
        return
    texts = criteria.read(content.members[REQUIREMENTS].decode("utf-8", "replace"))
    with content.report.reading(EVIDENCE):
        wanted = content.manifest["task_id"]
        if wanted is not None and wanted not in [task["id"] for task in said["tasks"]]:
            content.report.wrong(EVIDENCE, f"The task {wanted}, which the bundle is about, is not in it.")
        for task in said["tasks"]:
            _check_task(content, task, texts, strict=bool(policy["strict_proof"]))


def _check_task(content: Content, task: dict[str, Any], texts: Texts, *, strict: bool) -> None:
    proven = [entry["key"] for entry in task["criteria"] if entry["state"] == "proven"]
    open_keys = [entry["key"] for entry in task["criteria"] if entry["state"] != "proven"]
    if task["status"] == "done" and (open_keys or not proven):
        named = ", ".join(open_keys) or "any criterion"
        content.report.wrong(EVIDENCE, f"Task {task['key']} is called done, but nothing proves {named}.")
    for entry in task["criteria"]:
        if entry["state"] == "proven":
            _check_proof(content, entry, texts, strict=strict)
    shown = {name: task[name] for name in ("id", "key", "title", "status")}
    content.report.tasks.append({**shown, "proven": proven, "open": open_keys})


def _check_proof(content: Content, entry: dict[str, Any], texts: Texts, *, strict: bool) -> None:
    key, proof = entry["key"], entry["proof"]
    if content.left_out(f"{REQUIREMENTS}#{key}"):
        content.report.note(REQUIREMENTS, f"The text of {key} was left out, so its digest was not compared.")
    elif key not in texts:
        content.report.wrong(REQUIREMENTS, f"The requirements have no criterion {key}, which is called proven.")
    elif texts[key].sha256 != proof["sha256"]:
        content.report.wrong(REQUIREMENTS, f"The text of {key} is not the one that was proven: its SHA-256 is another.")
    signed = _signed(content, proof)
    if signed is None:
        content.report.wrong(
            EVIDENCE, f"No signed run of the bundle proves {key} with the digest {proof['sha256'][:12]}."
        )
        return
    member, statement, criterion = signed
    if proof["run_id"] != statement["run_id"]:
        _check_later_run(content, key, proof)
    if proof["strict"] and not criterion["strict"]:
        content.report.wrong(member, f"{key} is called strictly proven, but the signed run does not say so.")
    if strict and not proof["strict"]:
        content.report.note(member, f"The project asks for strict proof now; the proof of {key} is not strict.")
    content.report.count("criteria proven")


def _signed(content: Content, proof: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """Find the signed statement that a proof rests on: its own run's, or that of the patch it goes back to."""
    for run_id in content.below("runs"):
        member = f"runs/{run_id}/statement.json"
        if member not in content.members:
            continue
        statement = content.statement(member, EVIDENCE_TYPE)
        if statement is None or (run_id != proof["run_id"] and statement["patch_id"] != proof["patch_id"]):
            continue
        for criterion in statement["criteria"]:
            if criterion["sha256"] == proof["sha256"]:
                return member, statement, criterion
    return None


def _check_later_run(content: Content, key: str, proof: dict[str, Any]) -> None:
    """Check a later run on the branch that gave a lost proof back: it is not signed, and the reader is told."""
    member = f"runs/{proof['run_id']}/run.json"
    run = content.json(member)
    if run is None:
        return
    with content.report.reading(member):
        if run["commit"] not in {None, proof["commit"]}:
            content.report.wrong(member, f"The proof of {key} names another commit than the run.")
        check_tests(content, member, run, key, proof["tests"])
        content.report.note(member, f"{key} was shown again by this later run, which is not signed.")
