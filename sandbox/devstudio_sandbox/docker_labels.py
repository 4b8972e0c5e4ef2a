"""What the labels of our containers say: whose they are, what for, and whether their owner still lives."""

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from devstudio_sandbox.identity import Ownership

Kind = Literal["run", "pool", "kernel"]
"""A ``pool`` container waits for a run; once it has one it keeps its kind, and its name tells the run."""

LABEL = "renum.devstudio"
LABEL_INSTALLATION = f"{LABEL}.installation"
LABEL_OWNER = f"{LABEL}.owner"
LABEL_KIND = f"{LABEL}.kind"
LABEL_TENANT = f"{LABEL}.tenant"
LABEL_RUN = f"{LABEL}.run"
LABEL_CREATED = f"{LABEL}.created"
LABEL_TTL = f"{LABEL}.ttl"
RUN_NAME = "renum-devstudio-run-"
"""Prefix of the name that a pooled container gets with its run: labels can't change once a container is made."""
_RUN_OF_NAME = re.compile(r"/?" + RUN_NAME + r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def labels(
    ownership: Ownership, kind: Kind, tenant_id: UUID, run_id: UUID | None = None, ttl_s: int | None = None
) -> dict[str, str]:
    """Write the labels of a container."""
    told = {
        LABEL_INSTALLATION: ownership.installation,
        LABEL_OWNER: ownership.owner,
        LABEL_KIND: kind,
        LABEL_TENANT: str(tenant_id),
        LABEL_RUN: None if run_id is None else str(run_id),
        LABEL_CREATED: str(int(time.time())),
        LABEL_TTL: None if ttl_s is None else str(ttl_s),
    }
    return {name: value for name, value in told.items() if value is not None}


def run_name(run_id: UUID) -> str:
    """Name the container that serves a run, where its labels can't."""
    return f"{RUN_NAME}{run_id}"


@dataclass(frozen=True)
class Labelled:
    """One container of ours, as a listing of the engine tells it."""

    id: str
    kind: str
    installation: str
    owner: str
    run_id: str | None
    """Whose run it serves; none for one that waits in a pool, and for kernels."""

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> "Labelled":
        """Read one entry of ``GET /containers/json``."""
        told: Mapping[str, str] = entry.get("Labels") or {}
        named = [found[1] for name in entry.get("Names") or () if (found := _RUN_OF_NAME.fullmatch(name))]
        return cls(
            id=entry["Id"],
            kind=told.get(LABEL_KIND, "run"),  # as before there were kinds
            installation=told.get(LABEL_INSTALLATION, ""),
            owner=told.get(LABEL_OWNER, ""),
            run_id=told.get(LABEL_RUN) or next(iter(named), None),
        )

    def left_by_run(self, keep: Collection[str], only: Collection[str] | None) -> bool:
        """Tell whether it serves a run that is to go."""
        if self.kind == "kernel" or self.run_id is None:
            return False
        return self.run_id not in keep and (only is None or self.run_id in only)

    def left_by_owner(self, living: Ownership, alive: Collection[str]) -> bool:
        """Tell whether it is a run's or a pool's, of an owner who is gone."""
        return self.kind in ("run", "pool") and living.outlives(Ownership(self.installation, self.owner), alive)
