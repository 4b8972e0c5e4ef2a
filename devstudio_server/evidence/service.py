"""Bundles: what was asked, changed, approved and proven for a task or a session, in one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_evidence import bundle, git_objects
from devstudio_server._version import __version__
from devstudio_server.audit.service import log_data_access
from devstudio_server.db import Actor, Units
from devstudio_server.evidence import members
from devstudio_server.evidence.errors import BundleTooLarge
from devstudio_server.evidence.objects import Objects
from devstudio_server.evidence.readme import README
from devstudio_server.evidence.redaction import HiddenFiles, LeftOut, export_documents, export_notebook
from devstudio_server.evidence.repository import BundleRepository
from devstudio_server.evidence.schemas import BundleQuery
from devstudio_server.evidence.segment import segment
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.models import Run
from devstudio_server.kit.clock import now
from devstudio_server.patches.models import Approval, Patch, PatchRevision
from devstudio_server.patches.policy import ReviewPolicyService
from devstudio_server.projects.models import Project
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.signing.schemas import SigningKeyList
from devstudio_server.signing.signer import Signer
from devstudio_server.specs.models import SpecSession
from devstudio_server.specs.schemas import DocumentType, TaskEvidence, TaskRead
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Ports

_LOG_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Bundle:
    """A bundle's file."""

    name: str
    content: bytes


@dataclass(frozen=True)
class _Material:
    """What the database has about the subject of a bundle."""

    project: Project
    session: SpecSession
    task_id: UUID | None
    texts: Mapping[DocumentType, str]
    digests: Mapping[str, str]
    tasks: Sequence[TaskRead]
    evidence: Mapping[UUID, TaskEvidence]
    patches: Sequence[Patch]
    approvals: Sequence[Approval]
    revisions: Sequence[PatchRevision]
    runs: Sequence[Run]
    policy: dict[str, Any]
    audit: bytes


class BundleService:
    """Exports bundles. Git, logs and keys are asked outside of any unit of work."""

    def __init__(self, units: Units, actor: Actor, ports: Ports) -> None:
        """Work for ``actor``."""
        self._units = units
        self._actor = actor
        self._ports = ports

    def export(self, query: BundleQuery) -> Bundle:
        """Return the bundle of a task or a session, and note in the audit who took it.

        Raises `TaskNotFound`, `SpecSessionNotFound` and `BundleTooLarge`.
        """
        with self._units.begin(self._actor, read_only=True) as session:
            material = self._gather(session, query)
        content = self._pack(material)
        kind, subject = ("session", material.session.id) if material.task_id is None else ("task", material.task_id)
        with self._units.begin(self._actor) as session:
            details: dict[str, object] = {kind: str(subject), "sha256": bundle.sha256(content), "bytes": len(content)}
            log_data_access(session, "evidence", "export", str(subject), details)
        return Bundle(f"devstudio-evidence-{kind}-{subject}.tar", content)

    def _gather(self, session: Session, query: BundleQuery) -> _Material:
        specs = SpecService(session, self._actor, self._ports.get(GitStorage), self._ports.get(WorkspaceStorage))
        spec_session = specs.get(query.session_id or specs.get_task(_one(query.task_id)).session_id)
        tasks = [task for task in specs.task_reads(spec_session) if query.task_id in {None, task.id}]
        evidence = {task.id: specs.task_evidence(task.id) for task in tasks}
        rows = BundleRepository(session)
        patches = rows.patches([task.id for task in tasks])
        approvals = rows.approvals([patch.id for patch in patches])
        runs = _with_base_runs(rows, _run_ids(patches, evidence))
        subjects = rows.row_ids(spec_session.id) | {spec_session.id, *(task.id for task in tasks)}
        subjects |= {row.id for row in (*patches, *approvals, *runs)}
        project = specs.projects.get(spec_session.project_id)
        policy = ReviewPolicyService(session, self._actor).get(project)
        return _Material(
            project=project,
            session=spec_session,
            task_id=query.task_id,
            texts=specs.documents.texts(spec_session),
            digests=specs.criteria_digests(spec_session.id),
            tasks=tasks,
            evidence=evidence,
            patches=patches,
            approvals=approvals,
            revisions=rows.revisions([patch.id for patch in patches]),
            runs=runs,
            policy={**policy.model_dump(mode="json"), "default_branch": project.default_branch},
            audit=segment(session, spec_session.id, subjects),
        )

    def _pack(self, found: _Material) -> bytes:
        left_out = LeftOut()
        repository = self._ports.get(GitStorage).repository(found.project.tenant_id, found.project.id)
        content = self._documents(found, left_out)
        tasks = content[f"session/{DocumentType.TASKS.value}.md"].decode()
        trees = [tree for patch in found.patches for tree in (repository.tree(patch.base), patch.result_tree)]
        hidden = HiddenFiles(repository, trees, [task.title for task in found.tasks if task.title not in tasks])
        content |= _code(found, Objects(repository, hidden, left_out))
        for run in found.runs:
            content |= dict(members.run_members(run, self._log_digest(run, found.evidence)))
        content["audit/segment.jsonl"] = found.audit
        content["policy.json"] = members.as_json(found.policy)
        keys = SigningKeyList(items=[key.read() for key in self._ports.get(Signer).public_keys()])
        content["keys.json"] = members.as_json(keys.model_dump(mode="json"))
        content["README.txt"] = README.encode()
        statement = {
            "format": bundle.FORMAT,
            "subject": "session" if found.task_id is None else "task",
            "tenant_id": str(found.project.tenant_id),
            "project_id": str(found.project.id),
            "session_id": str(found.session.id),
            "task_id": None if found.task_id is None else str(found.task_id),
            "issued_at": now().replace(microsecond=0).isoformat(),
            "version": __version__,
            "members": bundle.listing(content),
            "left_out": left_out.rows(),
        }
        content[bundle.MANIFEST] = self._ports.get(Signer).sign(bundle.MANIFEST_TYPE, statement).encode()
        try:
            return bundle.pack(content)
        except bundle.BundleInvalid as error:
            raise BundleTooLarge(f"{error} Export one task of it.") from error

    def _documents(self, found: _Material, left_out: LeftOut) -> dict[str, bytes]:
        shown = export_documents(found.texts, found.digests, left_out)
        tree = self._ports.get(WorkspaceStorage).tree(found.project.tenant_id, found.project.id)
        stored = tree.read(found.session.notebook_file)
        notebook = export_notebook(found.session.id, found.session.version, shown, stored, left_out)
        content = {f"session/{kind.value}.md": text.encode() for kind, text in shown.items()}
        content["session/notebook.ipynb"] = notebook
        tasks = shown.get(DocumentType.TASKS, "")
        content["evidence.json"] = members.evidence_member(found.tasks, found.evidence, tasks)
        return content

    def _log_digest(self, run: Run, evidence: Mapping[UUID, TaskEvidence]) -> str | None:
        """Return the digest that was noted when the run ended, else that of the log as it is now."""
        entries = [entry for task in evidence.values() for each in task.criteria for entry in each.history]
        noted = next((entry.log_sha256 for entry in entries if entry.run_id == run.id and entry.log_sha256), None)
        return noted or self._digest_of_log(run)

    def _digest_of_log(self, run: Run) -> str | None:
        logs = self._ports.get(LogStorage)
        digest, offset = hashlib.sha256(), 0
        while data := logs.read(run.tenant_id, run.id, offset, _LOG_BYTES):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest() if offset else None


def _run_ids(patches: Sequence[Patch], evidence: Mapping[UUID, TaskEvidence]) -> set[UUID]:
    """Return the runs that committed the patches, and those that the criteria stand on now."""
    proofs = [each.proof for task in evidence.values() for each in task.criteria if each.proof is not None]
    found = {patch.run_id for patch in patches} | {proof.run_id for proof in proofs}
    return {run_id for run_id in found | {proof.base_run_id for proof in proofs} if run_id is not None}


def _with_base_runs(rows: BundleRepository, run_ids: set[UUID]) -> Sequence[Run]:
    found = rows.runs([*run_ids])
    missing = {run.base_run_id for run in found if run.base_run_id is not None} - run_ids
    return [*found, *(rows.runs([*missing]) if missing else [])]


def _code(found: _Material, objects: Objects) -> dict[str, bytes]:
    """Return patches, approvals and git's objects."""
    content = dict(members.approval_members(found.approvals, objects.left_out))
    for patch in found.patches:
        revisions = [row for row in found.revisions if row.patch_id == patch.id]
        content |= dict(members.patch_members(patch, revisions, objects.hidden, objects.left_out))
        objects.add_commit(patch.base)
        objects.add_difference(objects.repository.tree(patch.base), patch.result_tree)
    for commit in dict.fromkeys(patch.commit for patch in found.patches if patch.commit):
        made = git_objects.read_commit(objects.add_commit(commit))
        for parent in made.parents:
            before = git_objects.read_commit(objects.add_commit(parent))
            objects.add_difference(before.tree, made.tree)
            for tree in _base_trees(found.runs, commit):
                objects.add_difference(before.tree, tree)
    return content | objects.members


def _base_trees(runs: Sequence[Run], commit: str) -> list[str]:
    """Return the trees on which the tests ran without the change that a commit brought."""
    base_runs = {run.base_run_id for run in runs if run.commit == commit}
    return [run.tree for run in runs if run.id in base_runs and run.tree is not None]


def _one(value: UUID | None) -> UUID:
    if value is None:
        message = "`BundleQuery` has one of its two ids"
        raise LookupError(message)
    return value
