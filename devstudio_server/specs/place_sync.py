"""Syncs a session whose files another program wrote, on behalf of whoever that may have been."""

from __future__ import annotations

from collections.abc import Callable
from uuid import NAMESPACE_DNS, UUID, uuid5

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.logging import get_logger
from devstudio_server.projects.errors import ProjectNotFound
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.places import Place
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.sync import SessionSync, SyncResult
from devstudio_server.specs.sync_files import SyncedFiles

FILES_ID: UUID = uuid5(NAMESPACE_DNS, "files.devstudio.renum")
"""Who a version is by that came from a file of a team: a file does not say who wrote it."""
_OWN_MISTAKE = 500
_log = get_logger("specs")


def files_of(tenant_id: UUID) -> Actor:
    """Return the actor that stands for the files of a team: it is no person, so no version names a wrong one."""
    return Actor(tenant_id=tenant_id, user_id=FILES_ID, name="files")


class PlaceSync:
    """Syncs the session at a place. The path and the database say which one that is, and whose; no file does."""

    def __init__(
        self, units: Units, git: GitStorage, workspaces: WorkspaceStorage, actor_of: Callable[[UUID], Actor]
    ) -> None:
        """Act for whom ``actor_of`` names in a tenant."""
        self._units = units
        self._git = git
        self._workspaces = workspaces
        self._actor_of = actor_of

    def __call__(self, place: Place) -> bool:
        """Sync; False when the database or the disk did not answer, so that it is to be tried again."""
        actor = self._actor_of(place.tenant_id)
        try:
            # Most events are about what the server wrote itself: that is found out without keeping anyone from writing.
            with self._units.begin(actor, read_only=True) as unit:
                news = self._has_news(unit, place)
            if news:
                with self._units.begin(actor) as unit:
                    self._tell(self._sync(unit, actor, place))
        except AppError as error:
            _log.warning("files_not_synced", project_id=str(place.project_id), slug=place.slug, reason=error.detail)
            return error.status < _OWN_MISTAKE  # an archived project, say, waits for the next change of the files
        return True

    def _sync(self, unit: Session, actor: Actor, place: Place) -> SyncResult | None:
        session = SpecRepository(unit).find_at(place.project_id, place.slug)
        try:
            return SessionSync(unit, actor, self._git, self._workspaces).run(session) if session else None
        except ProjectNotFound:
            return None  # its files stay when a project is deleted

    def _has_news(self, unit: Session, place: Place) -> bool:
        """Tell whether a file holds anything but what the server wrote last."""
        specs = SpecRepository(unit)
        session = specs.find_at(place.project_id, place.slug)
        if session is None:
            return False
        tree = self._workspaces.tree(place.tenant_id, place.project_id)
        if not any(tree.exists(f"{session.folder}/{kind.value}.md") for kind in DocumentType):
            return tree.exists(session.notebook_file)  # without it the tree is lost, and nobody is asked
        return SyncedFiles(specs, self._actor_of(place.tenant_id), session, tree).has_news()

    def _tell(self, result: SyncResult | None) -> None:
        if result is not None:
            waiting = len(result.open)
            changed = [str(kind) for kind in result.changed]
            _log.info("files_synced", session_id=str(result.session.id), changed=changed, waiting=waiting)
