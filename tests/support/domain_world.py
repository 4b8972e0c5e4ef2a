"""The server's parts without HTTP: a real database, real repositories and trees, and the plain process as sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_sandbox import Backend
from devstudio_server.auth import local_actor
from devstudio_server.db import Actor, Units
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.jobs import do_run
from devstudio_server.execution.log_files import LogFiles
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.run_files import FilesOnDisk, RunFiles
from devstudio_server.execution.runner import SandboxRunner
from devstudio_server.execution.trials import SandboxPresence
from devstudio_server.jobs import JobContext, JobQueue
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.content import build_content
from devstudio_server.patches.jobs import apply_patch, commit_patch
from devstudio_server.patches.review import ReviewService
from devstudio_server.patches.service import Origin, PatchService
from devstudio_server.projects.models import Project
from devstudio_server.projects.schemas import ProjectCreate
from devstudio_server.projects.service import ProjectService
from devstudio_server.scm import GitRepository, GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage, WorkspaceTree
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.keyring import Keyring
from devstudio_server.signing.signer import Signer
from devstudio_server.specs.notebook_sync import NotebookSync
from devstudio_server.specs.schemas import (
    DocumentsUpdate,
    SpecSessionCreate,
    SpecSessionRead,
    SpecSessionUpdate,
    TaskRead,
)
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Ports
from support.databases import Database
from support.lean_process import LeanProcess

REQUIREMENTS = """# Requirements

### Requirement 1: Add numbers
**User Story:** As a clerk, I want sums, so that I can bill.

#### Acceptance Criteria
1. WHEN two numbers are given THE SYSTEM SHALL add them.
2. IF no number is given THEN THE SYSTEM SHALL answer 0.
"""
TASKS = """# Tasks
- [ ] 1. Write the adder
  - plain functions
  - _Requirements: 1.1, 1.2_
- [ ] 2. Say thanks
"""
ADDER = {
    "adder.py": "def add(*numbers):\n    return sum(numbers)\n",
    "test_adder.py": (
        "import pytest\nfrom adder import add\n\n\n"
        '@pytest.mark.criterion("1.1")\ndef test_adds():\n    assert add(1, 2) == 3\n\n\n'
        '@pytest.mark.criterion("1.2")\ndef test_empty():\n    assert add() == 0\n'
    ),
}


class DomainWorld:
    """One tenant's server parts below one folder."""

    def __init__(self, root: Path, database: Database, backend: Backend | None = None) -> None:
        self.root = root
        self.database = database
        self.engine = database.engine()
        self.units = Units(self.engine)
        self.actor: Actor = local_actor()
        self.git = GitStorage(root / "repositories")
        self.workspaces = WorkspaceStorage(root / "workspaces")
        self.logs = LogStorage(LogFiles(root / "logs"))
        self.files = RunFiles(FilesOnDisk(root / "run-files"))
        self.control = RunControl()
        self.wakes = 0
        self.backend: Backend = backend or LeanProcess()
        self.ports = Ports()
        self.ports.provide(GitStorage, self.git)
        self.ports.provide(WorkspaceStorage, self.workspaces)
        self.ports.provide(LogStorage, self.logs)
        self.ports.provide(RunFiles, self.files)
        self.ports.provide(Signer, Signer(Keyring(KeyFolder(root / "signing"))))
        self.ports.provide(RunControl, self.control)
        self.ports.provide(RunPolicy, RunPolicy())
        self.ports.provide(RunInputs, RunInputs(self.git, self.files, shipped=False))
        self.ports.provide(SandboxRunner, SandboxRunner(lambda: self.backend, self.control))
        self.ports.provide(JobQueue, JobQueue(self._wake))
        self.ports.provide(SandboxPresence, SandboxPresence(lambda: False))
        self.sync = NotebookSync(self.units, self.git, self.workspaces)

    def _wake(self, tenant_id: UUID) -> None:
        assert tenant_id == self.actor.tenant_id
        self.wakes += 1

    def close(self) -> None:
        self.engine.dispose()

    def other_user(self, **changes: Any) -> Actor:
        """Return another person of the same tenant, in team mode."""
        return replace(self.actor, user_id=new_id(), name="Bob", sole_user=False, **changes)

    @contextmanager
    def unit(self, actor: Actor | None = None, *, read_only: bool = False) -> Iterator[Session]:
        with self.units.begin(actor or self.actor, read_only=read_only) as session:
            yield session

    @contextmanager
    def projects(self, actor: Actor | None = None) -> Iterator[ProjectService]:
        with self.unit(actor) as unit:
            yield ProjectService(unit, actor or self.actor, self.git, self.workspaces)

    @contextmanager
    def specs(self, actor: Actor | None = None) -> Iterator[SpecService]:
        with self.unit(actor) as unit:
            yield SpecService(unit, actor or self.actor, self.git, self.workspaces)

    @contextmanager
    def patches(self, actor: Actor | None = None) -> Iterator[PatchService]:
        with self.unit(actor) as unit:
            yield PatchService(unit, actor or self.actor, self.ports)

    @contextmanager
    def reviews(self, actor: Actor | None = None) -> Iterator[ReviewService]:
        with self.unit(actor) as unit:
            yield ReviewService(unit, actor or self.actor, self.ports)

    def project(self, name: str = "Adder") -> Project:
        with self.projects() as projects:
            return projects.create(ProjectCreate(name=name))

    def repository(self, project_id: UUID) -> GitRepository:
        return self.git.repository(self.actor.tenant_id, project_id)

    def tree(self, project_id: UUID) -> WorkspaceTree:
        return self.workspaces.tree(self.actor.tenant_id, project_id)

    def session(self, project: Project | None = None, title: str = "First", **documents: str) -> SpecSessionRead:
        """Create a session, with documents when they are given."""
        project = project or self.project()
        with self.specs() as specs:
            created = specs.read(specs.create(SpecSessionCreate(project_id=project.id, title=title)))
        return self.write(created.id, **documents) if documents else created

    def write(self, session_id: UUID, *, expected: int | None = None, **documents: str) -> SpecSessionRead:
        payload = SpecSessionUpdate(documents=DocumentsUpdate(**documents))
        with self.specs() as specs:
            return specs.read(specs.update(session_id, payload, expected))

    def read(self, session_id: UUID) -> SpecSessionRead:
        with self.specs() as specs:
            return specs.read(specs.get(session_id))

    def tasks(self, session_id: UUID) -> Sequence[TaskRead]:
        with self.specs() as specs:
            return specs.tasks(session_id).items

    def patch(self, task_id: UUID, files: dict[str, str | None], summary: str = "Add the adder") -> UUID:
        """Make a pending patch for a task on the project's head."""
        with self.patches() as patches:
            task = patches.specs.get_task(task_id)
            project = patches.specs.projects.get(patches.specs.get(task.session_id).project_id)
            repository = patches.specs.projects.repository(project)
            base = repository.create(project.default_branch)
            content = build_content(repository, repository.tree(base), files)
            origin = Origin(base=base, summary=summary, warnings=[], model="offline", provider="offline")
            return patches.create(task, project, content, origin).id

    def approve(self, patch_id: UUID) -> None:
        with self.reviews() as reviews:
            reviews.approve(patch_id, reviews.patches.preview(patch_id).digest)

    def apply(self, patch_id: UUID) -> UUID:
        with self.patches() as patches:
            return patches.apply(patch_id, None).run_id

    def job(self, attempt: int = 1) -> JobContext:
        return JobContext(self.actor, self.units, self.ports, attempt)

    def do(self, run_id: UUID, attempt: int = 1) -> None:
        """Do every job of a run that applies a patch, in their order; those that are not due change nothing."""
        for job in (apply_patch, do_run, commit_patch):
            job(self.job(attempt), {"run_id": str(run_id)})
