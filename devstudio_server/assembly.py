"""Chooses what is behind each port, for the Jupyter server and for a worker that is a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import UUID

from sqlalchemy import Engine

from devstudio_sandbox import Backend, Limits, PoolPolicy, Preference, Runtime, SandboxError, choose_backend, pooled
from devstudio_server.audit.recorder import record_audit
from devstudio_server.auth.errors import SettingsError
from devstudio_server.auth.identity import LOCAL_TENANT_ID, local_actor
from devstudio_server.db import Actor, Units
from devstudio_server.db.opening import open_database
from devstudio_server.egress.gate import EgressGate, ProxyGate
from devstudio_server.egress.service import EgressPolicy
from devstudio_server.egress.settings import EgressSettings
from devstudio_server.events.recorder import record_events
from devstudio_server.events.wakeups import RedisWakeUps, WakeUps
from devstudio_server.execution.backend import BackendChoice
from devstudio_server.execution.command_policy import DEADLINE_S, PROGRAMS, RunPolicy, limits_of
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.jobs import JOBS as RUN_JOBS
from devstudio_server.execution.log_files import LogFiles
from devstudio_server.execution.log_rows import LogRows
from devstudio_server.execution.logs import LOG_CAP_BYTES, LogStorage
from devstudio_server.execution.recovery import CancelWatch, OrphanedRuns
from devstudio_server.execution.run_file_rows import FileRows
from devstudio_server.execution.run_files import FilesOnDisk, RunFiles
from devstudio_server.execution.runner import SandboxRunner
from devstudio_server.execution.service import project_of_run
from devstudio_server.execution.trials import SandboxPresence
from devstudio_server.jobs import EmbeddedWorker, Heartbeat, JobQueue, JobRunner, Place, Worker
from devstudio_server.jobs.delivery import DeliveredWorker, Delivery
from devstudio_server.jobs.life import Life, LifeKind
from devstudio_server.jobs.models import Job
from devstudio_server.jobs.notices import Notices
from devstudio_server.jobs.reconciler import Reconciler
from devstudio_server.jobs.service import installation_of
from devstudio_server.jobs.worker import EVERYWHERE
from devstudio_server.kit.masking import keep_secret
from devstudio_server.patches.jobs import JOBS as PATCH_JOBS
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.settings import DataFolder
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.keyring import KEY, GivenKeys, Keyring
from devstudio_server.signing.signer import Signer
from devstudio_server.specs.configuration import Watch
from devstudio_server.specs.place_sync import PlaceSync, files_of
from devstudio_server.specs.watching import SpecWatcher
from devstudio_server.web import Ports

KINDS = (*RUN_JOBS, *PATCH_JOBS)
"""What does the jobs of each kind, and where."""

POOL = (1, 4)
"""How many sandboxes wait for one tenant: at least, and at most."""
WorkerChoice = Literal["embedded", "external"]
"""Whether the server does what any worker can do, or leaves it to `devstudio worker`."""


@dataclass(frozen=True)
class Settings:
    """What a process of the studio is told, whoever reads it: Jupyter's configuration, or a worker's environment."""

    data_dir: Path
    database_url: str
    database_owner_url: str = ""
    redis_url: str = ""
    team: bool = False
    sandbox_backend: Preference = "auto"
    sandbox_runtime: Runtime = "auto"
    sandbox_pool: tuple[int, int] = POOL
    docker_host: str = ""
    allow_process_sandbox: bool = False
    run_timeout_s: float = DEADLINE_S
    run_log_bytes: int = LOG_CAP_BYTES
    run_programs: tuple[str, ...] = PROGRAMS
    run_limits: Mapping[str, float] = field(default_factory=dict)
    egress: EgressSettings = field(default_factory=EgressSettings)
    watch: Watch = "auto"
    worker: WorkerChoice = "embedded"
    worker_threads: int = 2
    """Jobs that this process does at the same time."""


class Assembly:
    """One process's adapters. Nothing runs in the background until `start`."""

    def __init__(self, settings: Settings, kind: LifeKind = "server") -> None:
        """Open the database, and put an adapter behind each port.

        Raises ``OSError`` for a data folder that cannot be made, and what `open_database` raises.
        """
        self.settings = settings
        self.folder = DataFolder(settings.data_dir)
        self.folder.create()
        self.engine: Engine = open_database(settings.database_url, settings.database_owner_url)
        self.wakeups = _wakeups(settings, self.engine)
        self.units = Units(self.engine, recorders=(partial(record_events, wake=self.wakeups.wake), record_audit))
        self.life = Life.begun(kind)
        self.backend = self._backend_choice(installation_of(self.units))
        self.ports = Ports()
        self._provide_storages()
        self._provide_signer()
        self._provide_egress()
        self._provide_runs()
        self._provide_queue()
        self.watcher = self._watcher()

    def start(self) -> None:
        """Take part in what the processes of an installation tell each other."""
        self.wakeups.start()

    def start_watch(self) -> None:
        """Say that this process is there, and put right what processes left that are gone."""
        self.heartbeat.start()
        self.reconciler.start()

    def start_worker(self) -> None:
        """Do jobs, and look after the files of sessions. Both start processes: a server has its port before it does."""
        if self.watcher is not None:
            self.watcher.start()
        self.worker.start()
        if self.notices is not None:
            self.notices.start()

    def stop_worker(self, grace_s: float = 10.0) -> None:
        """Take no more jobs, give those under way ``grace_s`` seconds, and put back the rest."""
        if self.notices is not None:
            self.notices.stop()
        self.worker.stop(grace_s)
        self.reconciler.stop()
        self.heartbeat.stop()

    def stop(self) -> None:
        """End what `start` began."""
        if self.watcher is not None:
            self.watcher.stop()
        self.wakeups.stop()
        self.backend.close()
        self.ports.get(LogStorage).close()

    def close(self) -> None:
        """Let go of the database. To be called last."""
        self.engine.dispose()

    def _backend_choice(self, installation: str) -> BackendChoice:
        """Return what chooses the sandbox: once, when it is needed."""
        told = self.settings
        floor, cap = told.sandbox_pool

        def choose() -> Backend:
            backend = choose_backend(
                told.sandbox_backend,
                docker_host=told.docker_host or None,
                allow_process=told.allow_process_sandbox,
                runtime=told.sandbox_runtime,
                installation=installation,
                owner=str(self.life.id),
            )
            return pooled(backend, PoolPolicy(floor=floor, cap=cap))

        return BackendChoice(choose)

    def _provide_storages(self) -> None:
        """Put folders of this machine behind the ports of what is kept outside the database."""
        workspaces = WorkspaceStorage(self.folder.workspaces)
        if not self.settings.team:
            workspaces.tenant_root(LOCAL_TENANT_ID).mkdir(parents=True, exist_ok=True)
        self.ports.provide(GitStorage, GitStorage(self.folder.repositories))
        self.ports.provide(WorkspaceStorage, workspaces)
        # Servers and workers on one PostgreSQL share no disk.
        shared = self.engine.dialect.name == "postgresql"
        logs = LogRows(self.units) if shared else LogFiles(self.folder.logs)
        files = FileRows(self.units) if shared else FilesOnDisk(self.folder.run_files)
        self.ports.provide(LogStorage, LogStorage(logs, self.settings.run_log_bytes))
        self.ports.provide(RunFiles, RunFiles(files))

    def _provide_signer(self) -> None:
        """Put the keys behind the port that signs. Raises `SettingsError` for a key that cannot be read."""
        keep_secret(*(line for line in os.environ.get(KEY, "").splitlines() if not line.startswith("-----")))
        try:
            given = GivenKeys.from_environment(os.environ)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        self.ports.provide(Signer, Signer(Keyring(KeyFolder(self.folder.signing), given)))

    def _provide_egress(self) -> None:
        """Put the proxy behind the port of what runs may reach. Raises ValueError for settings that cannot be read."""
        told = self.settings.egress
        longest_s = int(told.lease_hours * 3600)
        self.ports.provide(EgressPolicy, EgressPolicy(longest_s, project_of_run))
        self.ports.provide(EgressGate, ProxyGate(self.units, told.proxy(), told.mirrors()))

    def _provide_runs(self) -> None:
        """Put the sandbox behind the ports of runs."""
        control = RunControl()
        self.ports.provide(RunControl, control)
        self.ports.provide(SandboxRunner, SandboxRunner(self.backend, control, self.ports.get(EgressGate)))
        limits = limits_of(self.settings.run_limits, Limits())
        self.ports.provide(RunPolicy, RunPolicy(self.settings.run_programs, self.settings.run_timeout_s, limits))
        # Workers of a team may be processes without repositories; an embedded database has no other process.
        shipped = self.engine.dialect.name == "postgresql"
        self.ports.provide(RunInputs, RunInputs(self.ports.get(GitStorage), self.ports.get(RunFiles), shipped=shipped))
        self.ports.provide(SandboxPresence, SandboxPresence(self._sandbox_answers))

    def _provide_queue(self) -> None:
        """Put the table of jobs behind the port of the queue, and make what does them."""
        told = self.settings
        self.heartbeat = Heartbeat(self.units, self.life, told.worker_threads)
        anywhere = frozenset(kind.name for kind in KINDS if kind.place is Place.WORKER)
        delivery = Delivery(anywhere, self._delivered)
        self.runner = JobRunner(self.units, self.ports, KINDS, self._actor_of, self.heartbeat, delivery.enqueued)
        self.worker: Worker = (
            DeliveredWorker(self.runner, told.database_url, told.worker_threads)
            if self.life.kind == "worker"
            else EmbeddedWorker(
                self.runner, told.worker_threads, {Place.SERVER} if told.worker == "external" else EVERYWHERE
            )
        )
        self.notices = Notices(told.database_url, self.worker.wake) if self._hears() else None
        self.ports.provide(JobQueue, JobQueue(self.worker.wake, delivery.enqueued))
        self.reconciler = Reconciler(self.units, self.heartbeat, self.worker.wake, self.backend.reap_owners)
        self.reconciler.add(delivery.sweep)
        self.reconciler.add(OrphanedRuns(self.ports).settle)
        cancels = CancelWatch(self.ports.get(RunControl), self.heartbeat.hurry)
        self.heartbeat.watch(cancels.look)
        self.wakeups.listen(cancels.woken)

    def _watcher(self) -> SpecWatcher | None:
        """Return what looks after the files of sessions: in the server, which has the workspaces, and in no worker."""
        if self.life.kind != "server" or self.settings.watch == "off":
            return None
        workspaces = self.ports.get(WorkspaceStorage)
        sync = PlaceSync(self.units, self.ports.get(GitStorage), workspaces, self._actor_of_files)
        return SpecWatcher(workspaces.root, sync, polling=self.settings.watch == "polling")

    def _actor_of_files(self, tenant_id: UUID) -> Actor:
        """Return who edits files outside: the one person of the local mode; in a team a file does not say."""
        local = not self.settings.team and tenant_id == LOCAL_TENANT_ID
        return local_actor() if local else files_of(tenant_id)

    def _sandbox_answers(self) -> bool:
        """Tell whether a run would get a sandbox now: here, or at a worker that is a process of its own."""
        if self.settings.worker == "external":
            return self.heartbeat.workers > 0
        try:
            return self.backend().status().available
        except SandboxError:
            return False

    def _hears(self) -> bool:
        """Tell whether other processes may enqueue jobs that this one looks for."""
        return self.engine.dialect.name == "postgresql" and self.life.kind == "server"

    def _delivered(self) -> bool:
        """Tell whether jobs are brought to workers that are processes of their own."""
        if self.engine.dialect.name != "postgresql":
            return False
        return self.settings.worker == "external" or self.life.kind == "worker" or self.heartbeat.workers > 0

    def _actor_of(self, job: Job) -> Actor:
        """Return who enqueued ``job``: it acts for that person, and sees what that tenant has."""
        if not self.settings.team:
            return local_actor()
        return Actor(tenant_id=job.tenant_id, user_id=job.user_id, name=job.user_name)


def _wakeups(settings: Settings, engine: Engine) -> WakeUps:
    if settings.redis_url:
        return RedisWakeUps(settings.redis_url)
    return WakeUps(alone=engine.dialect.name == "sqlite")
