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


class ApprovalWouldNotCount(Conflict):
    """The project's policy counts other people's approvals."""

    title = "Your approval would not count"


class NothingToWithdraw(Conflict):
    """The actor has no approval of this patch that still stands."""

    title = "You have not approved this patch"


class PolicyTooWeak(Invalid):
    """A team never does without a second person."""

    title = "Too few approvals"

    def __init__(self) -> None:
        """Say what is the least."""
        message = (
            "In a team protected branches need at least 1 approval. Take a branch off the list to protect it no more."
        )
        super().__init__(message, errors=[{"loc": ["body", "required_approvals"], "msg": message}])


class EmptyPatch(Invalid):
    """The change changes nothing."""

    title = "Nothing to change"


class BranchInvalid(Invalid):
    """Not the name of a branch that the project has."""

    title = "No such branch"


class BranchMismatch(Conflict):
    """The patch is made for another branch."""

    title = "The patch is for another branch"


class ReplayUnderWay(Conflict):
    """A run is replaying this patch already."""

    title = "Already being replayed"


class ApplyUnderWay(Conflict):
    """A run is applying this patch already."""

    title = "Already being applied"


class PatchRefused(Invalid):
    """A diff that is not taken, with the line of the diff and the file, where there is one."""

    title = "The patch is refused"

    def __init__(self, line: int, reason: str, path: str | None = None) -> None:
        """Say that ``line`` does what ``reason`` says, which begins with a verb."""
        shown = "" if path is None else f", file {path if path.isprintable() else ascii(path)},"
        where = f"Line {line} of the diff{shown}"
        message = f"{where} {reason}"
        super().__init__(message, errors=[{"loc": ["body", "diff"], "msg": message}], line=line, path=path)


class BaseInvalid(Invalid):
    """Not a commit that a branch of the project has."""

    title = "No such commit"

    def __init__(self, base: str) -> None:
        """Name what was given."""
        message = f"No branch of the project has the commit {base}. Leave `base` out to use the newest of the branch."
        super().__init__(message, errors=[{"loc": ["body", "base"], "msg": message}])


class ResolutionInvalid(Invalid):
    """A resolution of a file that is in no conflict."""

    title = "No such conflict"

    def __init__(self, path: str) -> None:
        """Name the file."""
        message = f"The file {path!r} is in no conflict. Resolve the files that `conflicts` names, and no others."
        super().__init__(message, errors=[{"loc": ["body", "resolutions", path], "msg": message}])


class NotApplied(Conflict):
    """Only what was applied can be taken back."""

    title = "The patch is not applied"


class RevertConflicts(Conflict):
    """Later changes touch the same lines; ``conflicts`` has the three texts of each file."""

    title = "Later changes are in the way"

    def __init__(self, conflicts: list[dict[str, object]]) -> None:
        """Show the conflicts."""
        names = ", ".join(str(conflict["path"]) for conflict in conflicts[:5])
        super().__init__(
            f"What came after the patch changes the same places: {names}. Send the texts that the files are to have as "
            "`resolutions`.",
            conflicts=conflicts,
        )
