"""What a run of the tests on a branch as it is says about the criteria that were proven there."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan
from devstudio_server.execution.results import RunResult
from devstudio_server.execution.schemas import RunStatus, TestOutcome
from devstudio_server.projects.models import Project
from devstudio_server.scm import GitRepository
from devstudio_server.specs.evidence import EvidenceLedger
from devstudio_server.specs.tested import ProvingRun, Tested

COMMITTED = "committed"
"""Under this name, the facts of a plan have the branch and the commit that it tests, if it tests a branch's head."""


def facts_of_head(repository: GitRepository, project: Project, commit: str) -> dict[str, Any]:
    """Return the facts of the plan of a run on ``commit``: none unless it is what the default branch is at."""
    if repository.head(project.default_branch) != commit:
        return {}
    return {COMMITTED: {"branch": project.default_branch, "commit": commit}}


def follow_evidence(session: Session, run: Run, result: RunResult) -> None:
    """Take away or give back what the end of a run on a branch's head says of its criteria, in the run's transaction.

    Runs of trees that nobody committed say nothing, nor do those that were stopped.
    """
    committed = RunPlan.from_json(run.plan).facts.get(COMMITTED) if run.plan else None
    if committed is None or run.status not in (RunStatus.SUCCESS, RunStatus.FAILED):
        return
    proving = ProvingRun(run.id, committed["commit"], run.tree, committed["branch"])
    tested = Tested.of(result.tests, complete=result.complete)
    EvidenceLedger(session).follow(run.project_id, proving, tested, whole=False)


def tested_by(run: Run) -> Tested:
    """Return what the tests of a run that has ended said."""
    complete = bool((run.result or {}).get("complete"))
    return Tested.of([TestOutcome.model_validate(test) for test in run.tests], complete=complete)
