"""The domains with a worker that runs tests in a plain process, and a model that answers from a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import select

from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.execution.jobs import do_run
from devstudio_server.execution.models import Run
from devstudio_server.execution.trials import SandboxPresence
from devstudio_server.jobs import JobQueue
from devstudio_server.kit.clock import now
from devstudio_server.kit.stopping import StopSignal
from devstudio_server.scm.git import Author
from devstudio_server.specs.schemas import SpecSessionRead
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld
from support.model_server import Answer, Call, Fault, ModelServer, ScriptBrain, SeenRequest


def propose(files: dict[str, Any]) -> Answer:
    """Return an answer that proposes files; None deletes one."""
    changes = [
        {"path": path, "action": "delete" if text is None else "create", "content": text}
        for path, text in files.items()
    ]
    return Answer(calls=[Call("propose_changes", {"summary": "Change the adder", "files": changes})])


class FixBench:
    """A world with a session, a worker, and whoever may stop what is done."""

    def __init__(self, domain: DomainWorld) -> None:
        self.domain = domain
        self.session: SpecSessionRead = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
        self.left = StopSignal()
        self.events: list[dict[str, Any]] = []
        self.hears: Callable[[dict[str, Any]], None] = lambda _event: None
        self.requests: list[SeenRequest] = []
        self._threads: list[threading.Thread] = []
        self.domain.ports.provide(SandboxPresence, SandboxPresence(lambda: True))
        self.domain.ports.provide(JobQueue, JobQueue(self._wake))

    @contextmanager
    def model(self, script: Sequence[Answer | Fault]) -> Iterator[None]:
        """Have a model that gives the answers of ``script``, one after the other."""
        with ModelServer(ScriptBrain(script)) as server:
            self.requests = server.requests
            settings = GatewaySettings(
                openai_api_key="k", openai_base_url=server.openai_base_url, openai_models=("gpt-6.1-sol",), retries=0
            )
            gateway = Gateway(settings)
            self.domain.ports.provide(Gateway, gateway)
            try:
                yield
            finally:
                gateway.close()
                for thread in self._threads:
                    thread.join()

    def told(self, event: dict[str, Any]) -> None:
        """Hear of progress."""
        self.events.append(event)
        self.hears(event)

    def runs(self) -> Sequence[Run]:
        """Return every run, oldest first."""
        with self.domain.unit(read_only=True) as session:
            return list(session.scalars(select(Run).order_by(Run.id)))

    @staticmethod
    def author() -> Author:
        """Return who commits."""
        return Author("Ana", "ana@example.org", now())

    def _wake(self, _tenant_id: UUID) -> None:
        thread = threading.Thread(target=self._work)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        for run in self.runs():
            if run.status == "pending":
                do_run(self.domain.job(), {"run_id": str(run.id)})
