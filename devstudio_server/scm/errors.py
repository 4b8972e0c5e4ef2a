"""What can go wrong with git and trees."""

from __future__ import annotations

from devstudio_server.kit.errors import AppError, Conflict, Invalid, StorageFull, Unavailable

_DISK_FULL = ("No space left on device", "Disk quota exceeded")


class GitFailed(AppError):
    """A git command failed for a reason that we did not foresee."""

    status = 500
    title = "Git failed"


class RepositoryMissing(Unavailable):
    """The data folder lost a repository."""

    title = "The repository is missing"


class PatchDoesNotApply(Conflict):
    """The diff does not fit the tree that it should change."""

    title = "The patch does not apply"


class BranchMoved(Conflict):
    """The branch got another commit between the check and the commit."""

    title = "The branch moved"


class UnsafePath(Invalid):
    """A path that leaves the tree, or that git or a file system would read in two ways."""

    title = "Unsafe path"


def git_error(command: str, stderr: str) -> AppError:
    """Return the error that git's ``stderr`` means."""
    if any(text in stderr for text in _DISK_FULL):
        return disk_full()
    lines = stderr.strip().splitlines() or ["no message"]
    cause = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0])
    return GitFailed(f"git {command} failed: {cause}")


def disk_full() -> StorageFull:
    """Return the error of a full disk below the repositories."""
    return StorageFull("The disk of the repositories is full, so nothing was committed. Free some space and try again.")
