"""What tests of the AI gateway work with: a real database, a real model server, and the real SDKs between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select

from devstudio_server.ai.contract import ProposeChanges, WriteDocuments
from devstudio_server.ai.gateway import Conversation, Gateway, GatewaySettings, Outcome
from devstudio_server.ai.models import Metric
from devstudio_server.ai.subjects import GenerationSubject, PlanSubject
from devstudio_server.auth import local_actor
from devstudio_server.db import Units
from devstudio_server.web.schemas import Payload
from support.databases import Database
from support.model_server import Answer, Brain, Call, Fault, ModelServer, ScriptBrain, SeenRequest

T = TypeVar("T", bound=Payload)

KEY = "sk-canary-5b1e0c7d-never-to-be-seen"
MODELS = {"openai": "gpt-6.1-sol", "anthropic": "claude-sonnet-5-5"}
# US dollars per million tokens in genai-prices' bundled data, the same for both models.
PRICE_INPUT, PRICE_OUTPUT = 2, 10

FILES = {"app/main.py": "print('hello')\n", "README.md": "# Hello\n", "big.txt": "x" * 5000}


class MemoryReader:
    """A repository in memory."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def list_files(self) -> Sequence[str]:
        return sorted(self.files)

    def read_file(self, path: str) -> str | None:
        return self.files.get(path)


def plan_subject(**changes: Any) -> PlanSubject:
    fields: dict[str, Any] = {
        "project_name": "Café Orders",
        "project_type": "api",
        "language": "python",
        "session_title": "Take orders",
        "session_description": "",
        "prompt": "",
        "stages": ("requirements",),
        "documents": {},
        "requirements": (),
    }
    return PlanSubject(**{**fields, **changes})


def generation_subject(**changes: Any) -> GenerationSubject:
    fields: dict[str, Any] = {
        "project_name": "Café Orders",
        "project_type": "api",
        "language": "python",
        "task_key": "1",
        "task_title": "Take orders",
        "task_description": "",
        "criteria": (),
        "requirements": (),
        "instructions": "",
        "files": (),
    }
    return GenerationSubject(**{**fields, **changes})


def plan_conversation(**changes: Any) -> Conversation[WriteDocuments]:
    fields: dict[str, Any] = {
        "operation": "plan",
        "model": None,
        "system": "You plan.",
        "prompt": "Plan the requirements.",
        "answer": WriteDocuments,
        "subject": plan_subject(),
    }
    return Conversation(**{**fields, **changes})


def generation_conversation(**changes: Any) -> Conversation[ProposeChanges]:
    fields: dict[str, Any] = {
        "operation": "generation",
        "model": None,
        "system": "You write code.",
        "prompt": "Task key: 1\nWrite it.",
        "answer": ProposeChanges,
        "subject": generation_subject(),
        "reader": MemoryReader(FILES),
    }
    return Conversation(**{**fields, **changes})


GOOD_PLAN = Answer(calls=[Call("write_documents", {"requirements": "# Requirements\n"})])
GOOD_CHANGE = Answer(
    calls=[
        Call(
            "propose_changes",
            {"summary": "Adds a.py", "files": [{"path": "a.py", "action": "create", "content": "A = 1\n"}]},
        )
    ]
)


@dataclass
class World:
    """One gateway against one server."""

    protocol: str
    database: Database
    start: Callable[[Brain], ModelServer]
    events: list[dict[str, Any]] = field(default_factory=list)
    gateways: list[Gateway] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.units = Units(self.database.engine())
        self.actor = local_actor()
        self.server: ModelServer | None = None

    @property
    def model(self) -> str:
        return MODELS[self.protocol]

    @property
    def requests(self) -> list[SeenRequest]:
        assert self.server is not None
        return self.server.requests

    def settings(self, server: ModelServer, **changes: Any) -> GatewaySettings:
        fields: dict[str, Any] = {
            f"{self.protocol}_api_key": KEY,
            "openai_base_url": server.openai_base_url,
            "anthropic_base_url": server.url,
            "openai_models": (self.model, "nobody-knows-its-price"),
            "anthropic_models": (self.model, "nobody-knows-its-price"),
            "retries": 0,
            "timeout_s": 20.0,
        }
        return GatewaySettings(**{**fields, **changes})

    def gateway(self, script: Sequence[Answer | Fault] | Brain, **settings: Any) -> Gateway:
        self.server = self.start(ScriptBrain(script) if isinstance(script, Sequence) else script)
        return self.open(self.settings(self.server, **settings))

    def open(self, settings: GatewaySettings) -> Gateway:
        self.gateways.append(Gateway(settings))
        return self.gateways[-1]

    def converse(
        self, gateway: Gateway, conversation: Conversation[T], left: threading.Event | None = None
    ) -> Outcome[T]:
        return gateway.converse(
            conversation, units=self.units, actor=self.actor, progress=self.events.append, left=left
        )

    def rows(self) -> list[Metric]:
        with self.units.begin(self.actor, read_only=True) as session:
            return list(session.scalars(select(Metric).order_by(Metric.id)))

    def tenant(self) -> UUID:
        return self.actor.tenant_id
