"""The server extension: the only file that knows every domain. It chooses the adapters and wires them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Enum, Int, Unicode, default

from devstudio_sandbox import Preference, choose_backend
from devstudio_server._version import __version__
from devstudio_server.admin.health import HealthService
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.auth import local_actor
from devstudio_server.auth.identity import LOCAL_TENANT_ID
from devstudio_server.db import Units, create_engine
from devstudio_server.db.migrate import migrate
from devstudio_server.execution.backend import BackendChoice
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.runner import SandboxRunner
from devstudio_server.jobs import EmbeddedWorker, JobQueue
from devstudio_server.jupyter.contents import pre_save_hook
from devstudio_server.kit.logging import configure_logging, get_logger
from devstudio_server.openapi import document
from devstudio_server.operations import all_operations
from devstudio_server.patches.jobs import apply_patch
from devstudio_server.patches.service import APPLY_JOB
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.settings import DataFolder, default_data_dir
from devstudio_server.specs.notebook_sync import NotebookSync
from devstudio_server.web import Ports
from devstudio_server.web.handlers import WebContext, document_route, routes

_log = get_logger("app")


class DevStudioApp(ExtensionApp):
    """RENUM DevStudio inside a Jupyter server."""

    name = "devstudio_server"
    app_name = "RENUM DevStudio"
    description = "Spec-driven development: requirements in, approved and proven code out."
    load_other_extensions = True

    data_dir = Unicode(help="Folder of database, repositories, trees and logs. Default: $DEVSTUDIO_DATA_DIR.").tag(
        config=True
    )
    database_url = Unicode(
        help="SQLAlchemy URL of the database. Default: $DEVSTUDIO_DATABASE_URL, else SQLite in the data folder."
    ).tag(config=True)
    sandbox_backend = Enum(
        ("auto", "docker", "bubblewrap", "process"),
        "auto",
        help="What contains generated code: `auto` takes the strongest that works here.",
    ).tag(config=True)
    allow_process_sandbox = Bool(
        True, help="Whether, for the single local user, code may run as a plain process when nothing else works here."
    ).tag(config=True)
    docker_host = Unicode("", help="URL of the Docker engine. Default: $DOCKER_HOST, else the local socket.").tag(
        config=True
    )
    default_model = Unicode("", help="Id of the model that is used when a request names none.").tag(config=True)
    worker_threads = Int(2, min=1, help="Runs that this server does at the same time.").tag(config=True)
    web_threads = Int(8, min=1, help="Requests that this server works on at the same time.").tag(config=True)

    @default("data_dir")
    def _default_data_dir(self) -> str:
        return str(default_data_dir())

    @default("database_url")
    def _default_database_url(self) -> str:
        return DataFolder(Path(self.data_dir)).database_url

    def initialize_settings(self) -> None:
        """Open the database, wire the adapters, and start the worker."""
        configure_logging(self.log.level)
        folder = DataFolder(Path(self.data_dir))
        folder.create()
        engine = create_engine(self.database_url)
        migrate(engine)
        self.units = Units(engine)
        self.ports = Ports()
        self._provide_adapters(folder)
        self._start_worker(folder)
        self._follow_notebooks()
        self.executor = ThreadPoolExecutor(self.web_threads, thread_name_prefix="devstudio-web")

    def _provide_adapters(self, folder: DataFolder) -> None:
        """Choose what is behind each port."""
        control = RunControl()
        self.backend = BackendChoice(
            lambda: choose_backend(
                cast("Preference", self.sandbox_backend),
                docker_host=self.docker_host or None,
                allow_process=self.allow_process_sandbox,
            )
        )
        self.ports.provide(GitStorage, GitStorage(folder.repositories))
        self.ports.provide(WorkspaceStorage, WorkspaceStorage(folder.workspaces))
        self.ports.provide(LogStorage, LogStorage(folder.logs))
        self.ports.provide(RunControl, control)
        self.ports.provide(SandboxRunner, SandboxRunner(self.backend, control))
        self.ports.provide(Gateway, Gateway(self._gateway_settings()))
        self.ports.get(WorkspaceStorage).tenant_root(LOCAL_TENANT_ID).mkdir(parents=True, exist_ok=True)

    def _gateway_settings(self) -> GatewaySettings:
        overrides = {"DEVSTUDIO_DEFAULT_MODEL": self.default_model} if self.default_model else {}
        return GatewaySettings.from_environment(os.environ | overrides)

    def _start_worker(self, folder: DataFolder) -> None:
        self.worker = EmbeddedWorker(
            self.units,
            self.ports,
            {APPLY_JOB: apply_patch},
            actor_of=lambda _job: local_actor(),
            threads=self.worker_threads,
        )
        self.ports.provide(JobQueue, JobQueue(self.worker.wake))
        self.ports.provide(
            HealthService,
            HealthService(
                units=self.units,
                worker=self.worker,
                backend=self.backend,
                gateway=self.ports.get(Gateway),
                data_dir=folder.root,
                version=__version__,
            ),
        )
        self.worker.start()

    def _follow_notebooks(self) -> None:
        """Let a save of a session's notebook update its documents, and say so when Jupyter cannot see the trees."""
        storage = self.ports.get(WorkspaceStorage)
        tenant_root = storage.tenant_root(LOCAL_TENANT_ID)
        contents = self.settings["contents_manager"]
        if Path(contents.root_dir).resolve() != tenant_root.resolve():
            self.log.warning(
                "DevStudio's notebooks are in %s, but this server shows %s, so they cannot be opened in JupyterLab. "
                "Start it with `jupyter lab --ServerApp.root_dir=%s`, or with DevStudio's jupyter_config.py.",
                tenant_root,
                contents.root_dir,
                tenant_root,
            )
            return
        sync = NotebookSync(self.units, self.ports.get(GitStorage), storage)
        contents.register_pre_save_hook(pre_save_hook(lambda path, content: sync.save(local_actor(), path, content)))

    def initialize_handlers(self) -> None:
        """Add the routes of every operation."""
        context = WebContext(self.units, self.ports, self.executor, actor_of=local_actor)
        base_url = self.settings["base_url"]
        self.handlers.append(document_route(base_url, context, document()))
        self.handlers.extend(routes(all_operations(), base_url, context))

    async def stop_extension(self) -> None:
        """Stop the worker and close the database. A run under way is done again after the next start."""
        self.worker.stop()
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.units.engine.dispose()

    def current_activity(self) -> Any:
        """Tell Jupyter that this extension keeps the server alive while a run is under way."""
        return self.ports.get(RunControl).active() or None


main = launch_new_instance = DevStudioApp.launch_instance
