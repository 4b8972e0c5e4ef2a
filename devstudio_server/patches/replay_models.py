"""The tables of what models answered, and of replays of patches."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devstudio_server.db import TenantRow


class PatchRecording(TenantRow):
    """An answer of a model that a patch was made of, as it came; they are put on top of each other by ``number``.

    ``reply`` is None where it was too long to keep; its digest is kept. It is written with the patch, and never again.
    """

    __tablename__ = "ds_patch_recordings"
    __table_args__ = (UniqueConstraint("patch_id", "number"),)

    patch_id: Mapped[UUID] = mapped_column(ForeignKey("ds_patches.id"))
    number: Mapped[int] = mapped_column(Integer)
    model: Mapped[str] = mapped_column(String(200))
    request_sha256: Mapped[str] = mapped_column(String(64))
    reply_sha256: Mapped[str] = mapped_column(String(64))
    reply: Mapped[str | None] = mapped_column(Text)


class PatchReplay(TenantRow):
    """Somebody had a patch made and tested again. ``compared_run_id`` is the run that had tested it before.

    ``result`` holds what was compared before the tests ran; what came of them, the two runs tell.
    """

    __tablename__ = "ds_patch_replays"
    __subject__ = "replay"

    patch_id: Mapped[UUID] = mapped_column(ForeignKey("ds_patches.id"), index=True)
    revision: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[UUID] = mapped_column(ForeignKey("ds_runs.id"), index=True)
    compared_run_id: Mapped[UUID | None]
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    user_id: Mapped[UUID]
    user_name: Mapped[str] = mapped_column(String(200), default="")
