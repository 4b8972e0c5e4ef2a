"""What can go wrong with runs."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.kit.errors import Conflict, NotFound


class RunNotFound(NotFound):
    """No such run in this tenant."""

    def __init__(self, run_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(f"There is no run {run_id}. `GET /api/v1/exec` lists those that you can see.")


class RunIsFinal(Conflict):
    """The run has ended."""

    def __init__(self, status: str) -> None:
        """Name the status it ended with."""
        super().__init__(f"The run has already ended ({status}), so there is nothing to cancel.")
