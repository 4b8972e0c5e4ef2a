"""How a project is tested and built where its files do not say it, or say it wrongly."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator

from devstudio_server.execution.schemas import MAX_TIMEOUT_S, Argv
from devstudio_server.web.schemas import Payload, Shape

MAX_VARIABLES = 50
MAX_ENV_BYTES = 16 * 1024
MAX_GLOBS = 20
DEFAULT_ARTIFACTS = ("dist/**", "build/**", "coverage/**", "htmlcov/**", "*.whl")
MIB = 1024 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_RESERVED = re.compile(r"(?i)(RENUM_)?DEVSTUDIO_.*")
_SECRET = re.compile(r"(?i).*(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL|ACCESS_?KEY).*")

Glob = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\\]+$")]
Value = Annotated[str, StringConstraints(max_length=4096)]


class RunCommands(Payload):
    """What tests and what builds the project, as argument lists; null where its files say it.

    `{report}` in an argument stands for a file in which JUnit XML is looked for, `{coverage}` for one with lcov.
    """

    test: Argv | None = None
    build: Argv | None = None


class RunLimits(Payload):
    """What a run may use; null is what the server gives. No more than the server allows."""

    memory_bytes: int | None = Field(None, ge=64 * MIB)
    cpus: float | None = Field(None, ge=0.1)
    pids: int | None = Field(None, ge=16)
    workspace_bytes: int | None = Field(None, ge=MIB)
    tmp_bytes: int | None = Field(None, ge=MIB)
    open_files: int | None = Field(None, ge=64)


class SettingsValues(Payload):
    """The settings of a project for its runs, all of them, as they shall be from now on."""

    commands: RunCommands = Field(default_factory=RunCommands)
    env: dict[str, Value] = Field(
        default_factory=dict, description="Environment variables. Everyone of the tenant can read them: no secrets."
    )
    language: Literal["python", "node"] | None = Field(
        None, description="The image of commands of one's own. Null: Node's for a project with a package.json."
    )
    deadline_s: float | None = Field(
        None, ge=1, le=MAX_TIMEOUT_S, description="Longest that a run's command may take, in seconds."
    )
    limits: RunLimits = Field(default_factory=RunLimits)
    artifacts: list[Glob] = Field(
        default_factory=lambda: [*DEFAULT_ARTIFACTS],
        max_length=MAX_GLOBS,
        description="Which files of the workspace are kept; `**` is any folders.",
    )
    coverage: bool = Field(True, description="Measure what the tests run, where the runner can.")
    install: bool | None = Field(
        None,
        description="Install the packages that the project names before its command runs. Null: when an egress lease "
        "allows the index.",
    )

    @field_validator("env")
    @classmethod
    def _are_variables(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
                message = f"{name[:80]!r} is no name that a variable can have here"
                raise ValueError(message)
            if _SECRET.fullmatch(name):
                message = f"{name!r} looks like a secret; everyone of the tenant could read it, and so could the code"
                raise ValueError(message)
        size = sum(len(name.encode()) + len(text.encode()) for name, text in value.items())
        if len(value) > MAX_VARIABLES or size > MAX_ENV_BYTES:
            message = f"has {len(value)} variables of {size} bytes; at most {MAX_VARIABLES} of {MAX_ENV_BYTES} are kept"
            raise ValueError(message)
        return value

    @field_validator("artifacts")
    @classmethod
    def _stay_inside(cls, value: list[str]) -> list[str]:
        for glob in value:
            if glob.startswith("/") or ".." in glob.split("/"):
                message = f"{glob!r} leads out of the workspace"
                raise ValueError(message)
        return value


class RunSettingsWrite(SettingsValues):
    """What `PUT` takes."""


class RunCaps(Shape):
    """What this server allows: programs that a command may begin with, seconds, and limits of the sandbox."""

    programs: list[str]
    deadline_s: float
    limits: RunLimits


class RunSettingsRead(Shape):
    """The settings of a project. ``version`` is 0, and the values are the defaults, until someone sets them."""

    project_id: UUID
    commands: RunCommands
    env: dict[str, str]
    language: Literal["python", "node"] | None
    deadline_s: float | None
    limits: RunLimits
    artifacts: list[str]
    coverage: bool
    install: bool | None
    caps: RunCaps
    version: int
    updated_at: datetime | None
