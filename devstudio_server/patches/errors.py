"""What can go wrong with patches."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.kit.errors import Conflict, Invalid, NotFound


class PatchNotFound(NotFound):
    """No such patch in this tenant."""

    def __init__(self, patch_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(f"There is no patch {patch_id}. `GET /api/v1/code/patches` lists those that you can see.")


class PatchNotApproved(Conflict):
    """Only approved bytes are applied."""

    title = "The patch is not approved"


class PatchNotPending(Conflict):
    """Only a pending patch is approved or rejected."""

    title = "The patch was already decided"


class DigestMismatch(Conflict):
    """The approval names other bytes than the patch has."""

    title = "You approved other bytes"


class OwnPatch(Conflict):
    """Two people: who made a patch does not approve it."""

    title = "You made this patch"


class EmptyPatch(Invalid):
    """The change changes nothing."""

    title = "Nothing to change"


class BranchInvalid(Invalid):
    """Not the name of a branch that the project has."""

    title = "No such branch"


class ApplyUnderWay(Conflict):
    """A run is applying this patch already."""

    title = "Already being applied"
