"""Jobs of patches."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devstudio_server.jobs import JobContext
from devstudio_server.patches.application import PatchApplication


def apply_patch(context: JobContext, payload: dict[str, Any]) -> None:
    """Do the run that applies a patch; ``payload`` is ``{run_id}``."""
    PatchApplication(context, UUID(payload["run_id"])).run()
