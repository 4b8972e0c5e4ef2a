"""What can go wrong outside the command that runs in a sandbox.

A command that fails, is killed or runs into its deadline is no error: it is a
:class:`~devstudio_sandbox.ports.Completed`. These classes are for the sandbox
itself, and every message says what the person who reads it can do.
"""


class SandboxError(Exception):
    """Base of all errors of this package."""


class SandboxUnavailable(SandboxError):
    """No backend, or not the one that was asked for, works on this machine."""


class ImageMissing(SandboxUnavailable):
    """The engine answers, but the image of the language is not there."""


class ArtifactTooLarge(SandboxError):
    """A file in the workspace is larger than the reader allows."""


class WorkspaceRejected(SandboxError):
    """A path or archive was refused: a link, a device, a path that leads out, too many files or bytes."""


class SandboxLost(SandboxError):
    """The engine or the supervisor went away, or stopped to answer, in the middle of the work."""


class ReportInvalid(SandboxError):
    """A test report is no JUnit XML, is too large, or tries to make the parser do something else."""
