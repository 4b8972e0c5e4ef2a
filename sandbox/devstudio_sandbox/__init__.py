"""Run code that nobody has read yet, without letting it out.

Start here: :func:`choose_backend` gives a :class:`Backend`, ``open`` a :class:`Sandbox`,
:func:`detect` the :class:`Recipe` that tests a project, :func:`parse_junit` what the tests prove.
This package knows nothing of the server, and the Docker SDK is imported nowhere else.
"""

from devstudio_sandbox.archive import ArchiveEntry, pack
from devstudio_sandbox.choose import choose_backend, pooled
from devstudio_sandbox.errors import (
    ArtifactTooLarge,
    ImageMissing,
    ReportInvalid,
    SandboxError,
    SandboxLost,
    SandboxUnavailable,
    WorkspaceRejected,
)
from devstudio_sandbox.junit import CriterionOutcome, TestReport, TestResult, parse_junit
from devstudio_sandbox.pool import PooledBackend, PoolStats
from devstudio_sandbox.pool_stock import PoolPolicy
from devstudio_sandbox.ports import (
    Backend,
    BackendStatus,
    Command,
    Completed,
    Isolation,
    Language,
    Limits,
    OnOutput,
    Preference,
    Runtime,
    Sandbox,
    SandboxSpec,
    Stream,
)
from devstudio_sandbox.recipes import Recipe, custom, detect, detect_build, language_of

__all__ = [
    "ArchiveEntry",
    "ArtifactTooLarge",
    "Backend",
    "BackendStatus",
    "Command",
    "Completed",
    "CriterionOutcome",
    "ImageMissing",
    "Isolation",
    "Language",
    "Limits",
    "OnOutput",
    "PoolPolicy",
    "PoolStats",
    "PooledBackend",
    "Preference",
    "Recipe",
    "ReportInvalid",
    "Runtime",
    "Sandbox",
    "SandboxError",
    "SandboxLost",
    "SandboxSpec",
    "SandboxUnavailable",
    "Stream",
    "TestReport",
    "TestResult",
    "WorkspaceRejected",
    "choose_backend",
    "custom",
    "detect",
    "detect_build",
    "language_of",
    "pack",
    "parse_junit",
    "pooled",
]
