"""The rules of a project's run settings."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import check_version
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.models import RunSettings
from devstudio_server.execution.repository import RunSettingsRepository
from devstudio_server.execution.run_settings import (
    RunCaps,
    RunLimits,
    RunSettingsRead,
    RunSettingsWrite,
    SettingsValues,
)
from devstudio_server.kit.errors import PreconditionFailed


class RunSettingsService:
    """How a project is tested and built. The caller has looked whether the project is there."""

    def __init__(self, session: Session, policy: RunPolicy) -> None:
        """Work in ``session`` under ``policy``."""
        self._settings = RunSettingsRepository(session)
        self._session = session
        self._policy = policy

    def values(self, project_id: UUID) -> SettingsValues:
        """Return what someone set, or the defaults."""
        row = self._settings.find(project_id)
        return SettingsValues() if row is None else SettingsValues.model_validate(row.values)

    def get(self, project_id: UUID) -> RunSettingsRead:
        """Return the settings of a project, or the defaults."""
        return self._read(project_id, self._settings.find(project_id))

    def put(self, project_id: UUID, payload: RunSettingsWrite, expected: int | None) -> RunSettingsRead:
        """Set all settings; raises `CommandRefused`, `LimitExceeded`, and `PreconditionFailed` for a stale version."""
        self._check(payload)
        values = payload.model_dump(mode="json")
        row = self._settings.find(project_id)
        if row is None:
            if expected not in {None, 0}:
                message = "Nobody has set these settings yet. Send them without If-Match."
                raise PreconditionFailed(message, headers={"ETag": '"0"'}, current_version=0)
            row = RunSettings(project_id=project_id, values=values)
            self._settings.add(row)
            return self._read(project_id, row)
        check_version(row, expected)
        if row.values != values:
            row.values = values
            row.version += 1
        self._session.flush()
        return self._read(project_id, row)

    def _check(self, payload: RunSettingsWrite) -> None:
        for name in ("test", "build"):
            argv = getattr(payload.commands, name)
            if argv is not None:
                self._policy.check_command(argv, ["body", "commands", name])
        self._policy.check_deadline(payload.deadline_s, ["body", "deadline_s"])
        self._policy.check_limits(payload.limits.model_dump(), ["body", "limits"])

    def _read(self, project_id: UUID, row: RunSettings | None) -> RunSettingsRead:
        values = SettingsValues() if row is None else SettingsValues.model_validate(row.values)
        limits = {name: value for name, value in asdict(self._policy.limits).items() if name in RunLimits.model_fields}
        caps = RunCaps(
            programs=[*self._policy.programs],
            deadline_s=self._policy.deadline_s,
            limits=RunLimits.model_construct(**limits),
        )
        return RunSettingsRead(
            project_id=project_id,
            version=0 if row is None else row.version,
            updated_at=None if row is None else row.updated_at,
            caps=caps,
            **{name: getattr(values, name) for name in SettingsValues.model_fields},
        )
