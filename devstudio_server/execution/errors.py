"""What can go wrong with runs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from devstudio_server.kit.errors import Conflict, Invalid, NotFound

_SHOWN = 80
"""Characters of a person's text that an answer repeats."""


class RunNotFound(NotFound):
    """No such run in this tenant."""

    def __init__(self, run_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(f"There is no run {run_id}. `GET /api/v1/exec` lists those that you can see.")


class ArtifactNotFound(NotFound):
    """The run left no such file, or it is no longer kept."""

    def __init__(self, run_id: UUID) -> None:
        """Say where the names are."""
        super().__init__(
            f"The run {run_id} has no such artifact. `GET /api/v1/exec/{run_id}/artifacts` lists those that it left; "
            "they are kept for a while only."
        )


class RunIsFinal(Conflict):
    """The run has ended."""

    def __init__(self, status: str) -> None:
        """Name the status it ended with."""
        super().__init__(f"The run has already ended ({status}), so there is nothing to cancel.")


class RunNotRepeatable(Conflict):
    """The run cannot be done again as it was."""

    title = "The run cannot be repeated"


class DeployUnavailable(Conflict):
    """Deploying is a type of run that nothing does yet."""

    title = "Deploying is not there yet"

    def __init__(self) -> None:
        """Say what there is instead."""
        super().__init__(
            "Runs of the type `deploy` come with CI/CD, which this version does not have. Use `test` or `build`."
        )


class NothingToRun(Conflict):
    """Neither the settings nor the files of the project say how it is tested or built."""

    title = "Nothing to run"

    def __init__(self, kind: str, project_id: UUID) -> None:
        """Say what is looked for, and where one sets it."""
        looked = {
            "test": "`npm test`, `node --test`, pytest or `make test`",
            "build": "`npm run build`, `make build`, `make all` or Python files",
        }[kind]
        super().__init__(
            f"No {kind} was found at this state of the project ({looked}); set one in the project's run settings: "
            f"`PUT /api/v1/projects/{project_id}/run-settings` with `commands.{kind}`."
        )


class RefInvalid(Invalid):
    """The ref names no branch and no commit of the project."""

    title = "No such branch or commit"

    def __init__(self, ref: str, default: str) -> None:
        """Say what a ref is."""
        message = f"names no branch and no commit of the project; leave it out to use {default}"
        super().__init__(f"`ref` {ref[:_SHOWN]!r} {message}.", errors=[{"loc": ["body", "ref"], "msg": message}])


class TaskOfOtherProject(Invalid):
    """The task belongs to another project than the run."""

    def __init__(self) -> None:
        """Name the place."""
        message = "belongs to another project"
        super().__init__(f"`task_id` {message}.", errors=[{"loc": ["body", "task_id"], "msg": message}])


class CommandRefused(Invalid):
    """The policy does not allow the program."""

    title = "The command is not allowed"

    def __init__(self, program: str, allowed: Sequence[str], where: Sequence[str | int]) -> None:
        """List what is allowed."""
        message = f"is not a program that runs here; allowed are {', '.join(sorted(allowed))}"
        hint = " Name it without a path." if "/" in program else ""
        super().__init__(
            f"{program[:_SHOWN]!r} {message}.{hint}", errors=[{"loc": [*where], "msg": f"{message}.{hint}"}]
        )


class LimitExceeded(Invalid):
    """More is asked for than a run may have on this server."""

    title = "More than a run may have"

    def __init__(self, where: Sequence[str | int], value: float, most: float) -> None:
        """Name the most."""
        message = f"is {value:g}; this server gives a run at most {most:g}"
        name = ".".join(map(str, where[1:]))
        super().__init__(f"`{name}` {message}.", errors=[{"loc": [*where], "msg": message}])
