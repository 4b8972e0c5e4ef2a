"""How a run is asked for: what it will do is settled here, while the repository is at hand, and then enqueued."""

from __future__ import annotations

import re
from dataclasses import replace
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_sandbox import custom
from devstudio_server.db import Actor
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.errors import (
    DeployUnavailable,
    NothingToRun,
    RefInvalid,
    RunNotRepeatable,
    TaskOfOtherProject,
)
from devstudio_server.execution.evidence import COMMITTED, facts_of_head
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan, choose_language, find_recipe, settle, with_install
from devstudio_server.execution.run_settings import SettingsValues
from devstudio_server.execution.schemas import RequestedType, RunCreate, RunStatus, RunType
from devstudio_server.execution.service import RunService
from devstudio_server.execution.settings_service import RunSettingsService
from devstudio_server.jobs import JobQueue
from devstudio_server.projects.models import Project
from devstudio_server.scm import GitRepository, GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Ports

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class RunStarter:
    """Starts runs of tests, builds and commands, and repeats them."""

    def __init__(self, session: Session, actor: Actor, ports: Ports) -> None:
        """Work in ``session`` for ``actor``."""
        self._specs = SpecService(session, actor, ports.get(GitStorage), ports.get(WorkspaceStorage))
        self._policy = ports.get(RunPolicy)
        self._settings = RunSettingsService(session, self._policy)
        self._shipped = ports.get(RunInputs).shipped
        self.runs = RunService(session, actor, ports.get(JobQueue), ports.get(LogStorage), ports.get(RunControl))

    def start(self, payload: RunCreate) -> Run:
        """Settle what to run on which tree, and enqueue it.

        Raises `ProjectNotFound`, `ProjectArchived`, `TaskNotFound`, `RefInvalid`, `CommandRefused`, `LimitExceeded`,
        `NothingToRun`, and `DeployUnavailable`.
        """
        project = self._specs.projects.get_writable(payload.project_id)
        self._check(payload)
        repository = self._specs.projects.repository(project)
        commit = _commit_of(repository, project, payload.ref)
        tree = repository.tree(commit)
        plan = self._plan(payload, repository, tree)
        if payload.type is RequestedType.TEST and payload.command is None:
            plan = replace(plan, facts=facts_of_head(repository, project, commit))
        return self.runs.enqueue_plan(
            plan,
            RunType(payload.type.value),
            project.id,
            shipped=self._shipped,
            task_id=payload.task_id,
            ref=payload.ref or project.default_branch,
            tree=tree,
        )

    def repeat(self, run_id: UUID) -> Run:
        """Enqueue a run with the plan of one that has ended; raises `RunNotFound` and `RunNotRepeatable`."""
        old = self.runs.get(run_id)
        project = self._specs.projects.get_writable(old.project_id)
        if old.patch_id is not None:
            raise RunNotRepeatable(
                "This run applied a patch, which is approved and committed once. Apply the patch again: "
                f"`POST /api/v1/code/apply` with `patch_id` {old.patch_id}."
            )
        if not RunStatus(old.status).final:
            raise RunNotRepeatable(
                f"The run is still {old.status}. Wait for its end, or cancel it, and repeat it then."
            )
        if old.plan is None or old.tree is None:
            raise RunNotRepeatable("The run was made by an older version, which kept no plan. Start a new one.")
        plan = RunPlan.from_json(old.plan)
        if committed := plan.facts.get(COMMITTED):
            repository = self._specs.projects.repository(project)
            plan = replace(plan, facts=facts_of_head(repository, project, committed["commit"]))
        return self.runs.enqueue_plan(
            plan,
            RunType(old.type),
            project.id,
            shipped=self._shipped,
            task_id=old.task_id,
            ref=old.ref,
            tree=old.tree,
            rerun_of=old.id,
        )

    def _check(self, payload: RunCreate) -> None:
        if payload.type is RequestedType.DEPLOY:
            raise DeployUnavailable
        if payload.command is not None:
            self._policy.check_command(payload.command, ["body", "command"])
        self._policy.check_deadline(payload.timeout_s, ["body", "timeout_s"])
        if payload.task_id is not None:
            task = self._specs.get_task(payload.task_id)
            if self._specs.get(task.session_id).project_id != payload.project_id:
                raise TaskOfOtherProject

    def _plan(self, payload: RunCreate, repository: GitRepository, tree: str) -> RunPlan:
        settings = self._settings.values(payload.project_id)
        kind = RunType(payload.type.value)
        if payload.command is not None:
            recipe = custom(payload.command, choose_language(repository.files(tree), settings))
        else:
            found = find_recipe(kind, repository, tree, settings)
            if found is None:
                raise NothingToRun(kind.value, payload.project_id)
            recipe = found
        plan = settle(recipe, settings, self._policy, timeout_s=payload.timeout_s)
        return with_install(plan, repository, tree, settings)

    def settings(self, project_id: UUID) -> SettingsValues:
        """Return the settings that a project's runs have."""
        return self._settings.values(project_id)


def _commit_of(repository: GitRepository, project: Project, ref: str | None) -> str:
    """Return the commit of a branch or of a full id; raises `RefInvalid`."""
    if ref is None:
        return repository.require_head(project.default_branch)
    commit = repository.head(ref) if repository.is_branch_name(ref) else None
    if commit is None and _COMMIT.fullmatch(ref):
        commit = repository.find_commit(ref)
    if commit is None:
        raise RefInvalid(ref, project.default_branch)
    return commit
