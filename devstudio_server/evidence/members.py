"""The members of a bundle that are rows: patches, approvals, runs, and what is said to be proven."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from devstudio_server.ai.secret_scan import mask
from devstudio_server.evidence.redaction import HiddenFiles, LeftOut
from devstudio_server.execution.models import Run
from devstudio_server.execution.results import MAX_TESTS
from devstudio_server.patches.models import Approval, Patch, PatchRevision
from devstudio_server.specs.schemas import TaskEvidence, TaskRead

_RUN = (
    "id", "type", "status", "recipe", "argv", "ref", "isolation", "branch", "tree", "commit", "patch_id", "task_id",
    "base_run_id", "rerun_of", "attempt", "started_at", "finished_at", "exit_code",
)  # fmt: skip
_REVISION = ("number", "reason", "digest", "branch", "base", "result_tree", "author_id", "created_at")
_PROOF = ("run_id", "base_run_id", "patch_id", "commit", "tree", "branch", "tests", "strict", "sha256", "at")

Members = Iterator[tuple[str, bytes]]


def as_json(value: Any) -> bytes:
    """Write a member for people and programs: ids and times as text."""
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True, default=_text) + "\n").encode()


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def patch_members(patch: Patch, revisions: Sequence[PatchRevision], hidden: HiddenFiles, left_out: LeftOut) -> Members:
    """Give a patch's envelope, its diff unless that has to stay, and what it was before."""
    folder = f"patches/{patch.id}"
    if patch.envelope is not None:
        yield f"{folder}/envelope.json", patch.envelope.encode()
    diff = patch.patch_content.encode()
    reasons = (hidden.why_hidden(str(file["path"])) for file in patch.files)
    why = next(filter(None, reasons), None) or hidden.why_secret("", diff)
    if why is None:
        yield f"{folder}/diff.patch", diff
    else:
        left_out.note(f"{folder}/diff.patch", why)
    yield f"{folder}/revisions.json", as_json([_picked(row, _REVISION) for row in revisions])


def approval_members(approvals: Sequence[Approval], left_out: LeftOut) -> Members:
    """Give the signed approvals."""
    for approval in approvals:
        if approval.envelope is None:
            left_out.note(f"approvals/{approval.id}.json", "It was given before approvals were signed.")
        else:
            yield f"approvals/{approval.id}.json", approval.envelope.encode()


def run_members(run: Run, log_sha256: str | None) -> Members:
    """Give a run, what it signed, and the digest of its log; the log itself stays."""
    folder = f"runs/{run.id}"
    tests = [_test(test) for test in run.tests]
    complete = bool((run.result or {}).get("complete", len(tests) < MAX_TESTS))
    reason = mask(run.reason or "").text
    yield (
        f"{folder}/run.json",
        as_json({**_picked(run, _RUN), "reason": reason, "tests": tests, "tests_complete": complete}),
    )
    if run.statement is not None:
        yield f"{folder}/statement.json", run.statement.encode()
    if log_sha256 is not None:
        yield f"{folder}/log.sha256", f"{log_sha256}  {run.id}.log\n".encode()


def _test(test: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: test[name] for name in ("name", "outcome", "criteria")}
    return {**kept, "id": test.get("id") or test["name"]}


def evidence_member(tasks: Sequence[TaskRead], evidence: Mapping[UUID, TaskEvidence], shown: str) -> bytes:
    """Give what is said to be proven; a title that is not in the text that is shown stays."""
    return as_json({"tasks": [_task(task, evidence[task.id], shown) for task in tasks]})


def _task(task: TaskRead, evidence: TaskEvidence, shown: str) -> dict[str, Any]:
    criteria = [
        {
            "key": entry.key,
            "state": entry.state,
            "why": entry.why,
            "proof": None if entry.proof is None else _picked(entry.proof, _PROOF),
        }
        for entry in evidence.criteria
    ]
    title = task.title if task.title in shown else "[not shown]"
    return {"id": task.id, "key": task.key, "title": title, "status": task.status, "criteria": criteria}


def _picked(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
