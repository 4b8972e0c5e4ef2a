"""How patches are handed in, changed in review, rebased and reverted: read (commit), work in git, store (commit)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from devstudio_server.db import Actor, Units, check_version
from devstudio_server.patches.content import PatchContent, check_files, content_between
from devstudio_server.patches.errors import BaseInvalid, NotApplied, PatchNotPending, ResolutionInvalid, RevertConflicts
from devstudio_server.patches.lifecycle_schemas import (
    PatchEdit,
    PatchUpload,
    RebaseConflict,
    RebaseRequest,
    RebaseResult,
    RevertRequest,
    RevisionList,
    RevisionRead,
)
from devstudio_server.patches.models import Patch
from devstudio_server.patches.schemas import PatchedFile, PatchOrigin, PatchRead, PatchStatus, RevisionReason
from devstudio_server.patches.service import Origin, PatchService, check_branch, criterion_warnings
from devstudio_server.patches.trial import check_result, content_of_diff
from devstudio_server.scm import GitRepository
from devstudio_server.scm.disposable import Conflict, Merged, disposable
from devstudio_server.web import Ports

_OPEN = (PatchStatus.PENDING, PatchStatus.APPROVED)


@dataclass(frozen=True)
class _Seen:
    """A patch as it was when the work on it began, apart from the unit that read it."""

    version: int
    status: str
    summary: str
    branch: str
    base: str
    digest: str
    result_tree: str
    commit: str | None
    content: PatchContent
    repository: GitRepository
    head: str


class PatchLifecycle:
    """Makes patches from diffs, and other revisions of patches."""

    def __init__(self, units: Units, actor: Actor, ports: Ports) -> None:
        """Work for ``actor``, each step in a unit of its own, none of them while git works."""
        self._units = units
        self._actor = actor
        self._ports = ports

    def upload(self, request: PatchUpload) -> PatchRead:
        """Store a diff as a pending patch of a task."""
        with self._units.begin(self._actor, read_only=True) as session:
            patches = PatchService(session, self._actor, self._ports)
            task = patches.specs.get_task(request.task_id)
            project = patches.specs.projects.get_writable(patches.specs.get(task.session_id).project_id)
            repository = patches.specs.projects.repository(project)
            branch, criteria = request.branch or project.default_branch, list(task.criteria)
            head = check_branch(repository, branch, project)
        base = _base(repository, request.base, head)
        content = content_of_diff(repository, repository.tree(base), request.diff.encode())
        origin = Origin(
            base=base,
            summary=request.summary or f"Uploaded change of {_counted(content)}",
            warnings=criterion_warnings(criteria, _texts(repository, content)),
            kind=PatchOrigin.UPLOADED,
            branch=branch,
        )
        return self._create(request.task_id, content, origin)

    def _create(self, task_id: UUID, content: PatchContent, origin: Origin) -> PatchRead:
        with self._units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._ports)
            task = patches.specs.get_task(task_id)
            project = patches.specs.projects.get_writable(patches.specs.get(task.session_id).project_id)
            return patches.read(patches.create(task, project, content, origin).id)

    def edit(self, patch_id: UUID, request: PatchEdit, expected: int | None) -> PatchRead:
        """Change a patch in review; raises `PreconditionFailed` when someone else did first."""
        seen = self._seen(patch_id, expected, branch=request.branch)
        content = self._edited(seen, request)
        branch = request.branch or seen.branch
        summary = seen.summary if request.summary is None else request.summary
        edited = content.digest != seen.digest or summary != seen.summary
        with self._units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._ports)
            patch = self._current(patches, patch_id, seen)
            if edited or branch != seen.branch:
                patch.summary = summary
                reason = RevisionReason.EDITED if edited else RevisionReason.RETARGETED
                patches.revise(patch, content, reason, branch=branch)
            return patches.read(patch_id)

    def _edited(self, seen: _Seen, request: PatchEdit) -> PatchContent:
        repository, base_tree = seen.repository, seen.content.base_tree
        if request.diff is not None:
            return content_of_diff(repository, base_tree, request.diff.encode())
        if request.files:
            check_files(request.files, repository.files(seen.result_tree))
            tree = repository.change(seen.result_tree, _encoded(request.files))
            check_result(repository, base_tree, tree)
            return content_between(repository, base_tree, tree)
        return seen.content

    def rebase(self, patch_id: UUID, request: RebaseRequest) -> RebaseResult:
        """Bring a patch onto the newest commit of its branch, unless there are conflicts that nobody resolved."""
        seen = self._seen(patch_id, None)
        repository = seen.repository
        if seen.head == seen.base:
            return RebaseResult(patch=self._read(patch_id), conflicts=[])
        head_tree = repository.tree(seen.head)
        merging = _Merging(repository, seen.content.base_tree, head_tree, seen.result_tree)
        open_conflicts = merging.run(request.resolutions)
        if open_conflicts:
            return RebaseResult(patch=self._read(patch_id), conflicts=open_conflicts)
        with self._units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._ports)
            patch = self._current(patches, patch_id, seen)
            patches.revise(patch, merging.content, RevisionReason.REBASED, base=seen.head)
            return RebaseResult(patch=patches.read(patch_id), conflicts=[])

    def revert(self, patch_id: UUID, request: RevertRequest) -> PatchRead:
        """Make a pending patch that takes an applied one back; raises `RevertConflicts`."""
        seen = self._seen(patch_id, None, decided=True)
        if seen.status != PatchStatus.APPLIED or seen.commit is None:
            raise NotApplied(f"The patch is {seen.status}. Only an applied patch can be taken back.")
        repository = seen.repository
        after, before = repository.tree(seen.commit), repository.parent_tree(seen.commit)
        merging = _Merging(repository, after, repository.tree(seen.head), before)
        conflicts = merging.run(request.resolutions)
        if conflicts:
            raise RevertConflicts([conflict.model_dump() for conflict in conflicts])
        summary = f"Revert: {seen.summary}" + (f"\n\n{request.reason}" if request.reason else "")
        with self._units.begin(self._actor, read_only=True) as session:
            task_id = PatchService(session, self._actor, self._ports).get(patch_id).task_id
        origin = Origin(
            base=seen.head,
            summary=summary,
            warnings=["This patch takes back what proves the task's criteria. Its tests may go with it."],
            kind=PatchOrigin.REVERT,
            branch=seen.branch,
            reverts=patch_id,
        )
        return self._create(task_id, merging.content, origin)

    def revisions(self, patch_id: UUID) -> RevisionList:
        """Return what a patch was, oldest first."""
        with self._units.begin(self._actor, read_only=True) as session:
            rows = PatchService(session, self._actor, self._ports).revisions(patch_id)
            return RevisionList(items=[RevisionRead.model_validate(row) for row in rows])

    def _read(self, patch_id: UUID) -> PatchRead:
        with self._units.begin(self._actor, read_only=True) as session:
            return PatchService(session, self._actor, self._ports).read(patch_id)

    def _seen(self, patch_id: UUID, expected: int | None, *, branch: str | None = None, decided: bool = False) -> _Seen:
        """Read a patch, and refuse early what would be refused at the end."""
        with self._units.begin(self._actor, read_only=True) as session:
            patches = PatchService(session, self._actor, self._ports)
            patch = patches.get(patch_id)
            check_version(patch, expected)
            project = patches.specs.projects.get_writable(patch.project_id)
            if not decided and patch.status not in _OPEN:
                raise PatchNotPending(f"The patch is {patch.status} already. Make a new one to change it.")
            repository = patches.repository(patch)
            head = check_branch(repository, branch or patch.branch, project)
            names = ("version", "status", "summary", "branch", "base", "digest", "result_tree", "commit")
            values = {name: getattr(patch, name) for name in names}
            return _Seen(**values, content=_content(patch, repository), repository=repository, head=head)

    def _current(self, patches: PatchService, patch_id: UUID, seen: _Seen) -> Patch:
        """Return the patch when it is still what the work was done on; raises `PreconditionFailed`."""
        patch = patches.get(patch_id)
        check_version(patch, seen.version)
        patches.specs.projects.get_writable(patch.project_id)
        return patch


class _Merging:
    """Brings a change over to another tree, with what people say about its conflicts."""

    content: PatchContent

    def __init__(self, repository: GitRepository, base: str, ours: str, theirs: str) -> None:
        self._repository = repository
        self._base, self._ours, self._theirs = base, ours, theirs

    def run(self, resolutions: Mapping[str, str | None]) -> list[RebaseConflict]:
        """Return the conflicts when one of them is not resolved; otherwise set ``content``."""
        with disposable(self._repository) as place:
            merged = place.merge(self._base, self._ours, self._theirs)
            self._check(merged, resolutions)
            if any(conflict.path not in resolutions for conflict in merged.conflicts):
                return [_shown(conflict) for conflict in merged.conflicts]
            tree = self._resolved(place, merged, resolutions)
            check_result(place, self._ours, tree)
            content = content_between(place, self._ours, tree)
        self._repository.apply(self._ours, content.diff.encode())
        self.content = content
        return []

    def _check(self, merged: Merged, resolutions: Mapping[str, str | None]) -> None:
        stray = sorted(set(resolutions) - {conflict.path for conflict in merged.conflicts})
        if stray:
            raise ResolutionInvalid(stray[0])

    def _resolved(self, place: GitRepository, merged: Merged, resolutions: Mapping[str, str | None]) -> str:
        if not resolutions:
            return merged.tree
        aside = {conflict.placed: None for conflict in merged.conflicts if conflict.placed != conflict.path}
        tree = place.change(merged.tree, aside) if aside else merged.tree
        present = set(place.files(tree))
        wanted = {path: text for path, text in resolutions.items() if text is not None or path in present}
        if not wanted:
            return tree
        check_files(wanted, present)
        return place.change(tree, _encoded(wanted))


def _content(patch: Patch, repository: GitRepository) -> PatchContent:
    files = [PatchedFile.model_validate(file) for file in patch.files]
    return PatchContent(repository.tree(patch.base), patch.result_tree, patch.patch_content, patch.digest, files)


def _base(repository: GitRepository, asked: str | None, head: str) -> str:
    if asked is None:
        return head
    found = repository.find_commit(asked)
    if found is None:
        raise BaseInvalid(asked)
    return found


def _encoded(files: Mapping[str, str | None]) -> dict[str, bytes | None]:
    return {path: None if text is None else text.encode() for path, text in files.items()}


def _texts(repository: GitRepository, content: PatchContent) -> Sequence[str]:
    """Return what the files of a patch hold after it, as far as it is text."""
    changes = repository.changes(content.base_tree, content.result_tree)
    found = repository.blobs([change.new_blob for change in changes])
    return [text.decode("utf-8", "replace") for text in found if text is not None]


def _counted(content: PatchContent) -> str:
    return content.files[0].path if len(content.files) == 1 else f"{len(content.files)} files"


def _shown(conflict: Conflict) -> RebaseConflict:
    sides = (conflict.base, conflict.ours, conflict.theirs)
    texts = [_text(side) for side in sides]
    binary = any(side is not None and text is None for side, text in zip(sides, texts, strict=True))
    return RebaseConflict(path=conflict.path, base=texts[0], ours=texts[1], theirs=texts[2], binary=binary)


def _text(side: bytes | None) -> str | None:
    if side is None or b"\0" in side:
        return None
    try:
        return side.decode()
    except UnicodeDecodeError:
        return None
