"""The rules of agent settings: which model works on a project, and within which limits."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.errors import ModelUnknown
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.models import AgentSettings
from devstudio_server.ai.repository import AgentSettingsRepository
from devstudio_server.ai.schemas import AgentSettingsRead, AgentSettingsWrite, Model
from devstudio_server.ai.use import ModelUse
from devstudio_server.db import actor_of, check_version
from devstudio_server.kit.errors import PreconditionFailed


class AgentSettingsService:
    """Which model works on a project. The caller has looked whether the project is there."""

    def __init__(self, session: Session, gateway: Gateway) -> None:
        """Work in ``session`` with the models of ``gateway``."""
        self._settings = AgentSettingsRepository(session)
        self._session = session
        self._gateway = gateway

    def get(self, project_id: UUID) -> AgentSettingsRead:
        """Return the settings of a project, or the defaults."""
        row = self._settings.find(project_id)
        if row is not None:
            return AgentSettingsRead.model_validate(row)
        model = self._resolve(None)
        defaults = AgentSettingsWrite(model=model.id).model_dump()
        return AgentSettingsRead(
            project_id=project_id, model_provider=model.provider, version=0, updated_at=None, **defaults
        )

    def put(self, project_id: UUID, payload: AgentSettingsWrite, expected: int | None) -> AgentSettingsRead:
        """Set the settings of a project; raises `ModelUnknown`, and `PreconditionFailed` when ``expected`` is stale."""
        row = self._settings.find(project_id)
        model = self._resolve(payload.model)
        values = payload.model_dump() | {
            "model": model.id,
            "model_provider": model.provider.value,
            "temperature": Decimal(str(round(payload.temperature, 2))),
        }
        if row is None:
            if expected not in {None, 0}:
                message = "Nobody has set these settings yet. Send them without If-Match."
                raise PreconditionFailed(message, headers={"ETag": '"0"'}, current_version=0)
            row = AgentSettings(project_id=project_id, **values)
            self._settings.add(row)
            return AgentSettingsRead.model_validate(row)
        check_version(row, expected)
        for name, value in values.items():
            setattr(row, name, value)
        if self._session.is_modified(row):
            row.version += 1
        self._session.flush()
        return AgentSettingsRead.model_validate(row)

    def use(self, project_id: UUID) -> ModelUse:
        """Return how the project wants models used, as calls need it; no limits of its own until someone sets them."""
        row = self._settings.find(project_id)
        if row is None:
            return ModelUse()
        return ModelUse(float(row.temperature), row.max_tokens, dict(row.policy), dict(row.token_limits))

    def model(self, project_id: UUID) -> Model:
        """Return the model that the project's settings name while this server offers it, else the default."""
        row = self._settings.find(project_id)
        try:
            return self._resolve(row.model if row is not None else None)
        except ModelUnknown:
            return self._resolve(None)

    def _resolve(self, model_id: str | None) -> Model:
        return self._gateway.resolve(model_id, actor_of(self._session).tenant_id)
