"""The server extension: what Jupyter is told, and what it starts and stops. `assembly` chooses the adapters."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from sqlalchemy import make_url
from traitlets import Bool, Dict, Enum, Float, Int, List, Unicode, default

from devstudio_kernels.host import KernelHost, own_name
from devstudio_sandbox import Preference, Runtime, SandboxError
from devstudio_sandbox.identity import Ownership
from devstudio_server._version import __version__
from devstudio_server.admin.health import HealthService
from devstudio_server.ai.budgets import expire_reservations
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.assembly import Assembly, Settings, WorkerChoice
from devstudio_server.audit.service import RETENTION_DAYS, AuditService
from devstudio_server.auth.errors import SettingsError
from devstudio_server.auth.gate import Gate
from devstudio_server.auth.identity import LOCAL_TENANT_ID, TeamIdentityProvider, auth_mode
from devstudio_server.auth.launch import launch_routes
from devstudio_server.auth.user import NOBODY, actor_of_user
from devstudio_server.db import current_actor
from devstudio_server.egress.configuration import EgressConfiguration
from devstudio_server.egress.service import expire_leases, remove_old_requests
from devstudio_server.events.feeds import EventFeeds
from devstudio_server.events.service import EventService
from devstudio_server.execution.command_policy import DEADLINE_S, PROGRAMS
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.logs import LOG_CAP_BYTES, LogStorage
from devstudio_server.execution.retention import RUN_RETENTION_DAYS, RunRetention
from devstudio_server.execution.run_files import RunFiles
from devstudio_server.jobs.housekeeping import Chore, Housekeeping
from devstudio_server.jupyter.contents import pre_save_hook
from devstudio_server.jupyter.kernel_care import KernelCare
from devstudio_server.jupyter.router import mend, scope_by_tenant
from devstudio_server.jupyter.stopping import stop_between_callbacks
from devstudio_server.kit.clock import now
from devstudio_server.kit.logging import configure_logging
from devstudio_server.kit.masking import keep_secret
from devstudio_server.kit.metrics import know_models
from devstudio_server.kv.service import KvService
from devstudio_server.openapi import document
from devstudio_server.operations import all_operations
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.settings import DataFolder, default_data_dir
from devstudio_server.specs.configuration import SyncConfiguration, Watch
from devstudio_server.specs.notebook_sync import NotebookSync
from devstudio_server.web.base import RECHECK_S
from devstudio_server.web.handlers import WebContext, document_route, routes
from devstudio_server.web.hosts import answer_only_to
from devstudio_server.web.idempotency import remove_expired_keys
from devstudio_server.web.rate_limits import RateLimiter
from devstudio_server.web.request_log import log_request
from devstudio_server.web.sockets import socket_rules
from devstudio_server.web.too_large import too_large_rules


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
    database_owner_url = Unicode(
        help="URL of a PostgreSQL database for its owner: with it, the server brings the schema up to date itself. "
        "Default: $DEVSTUDIO_DATABASE_OWNER_URL."
    ).tag(config=True)
    redis_url = Unicode(
        help="URL of Redis, which the servers of a team share: wake-ups and rate limits. Default: $DEVSTUDIO_REDIS_URL."
    ).tag(config=True)
    stream_recheck_s = Float(
        RECHECK_S, min=0.1, help="How often a stream asks whether who follows it is still signed in, in seconds."
    ).tag(config=True)
    event_retention_days = Int(30, min=1, help="How long events are kept, in days.").tag(config=True)
    audit_retention_days = Int(
        RETENTION_DAYS,
        min=1,
        help="How long the audit is kept, in days. On PostgreSQL `devstudio audit prune` removes what is older: the "
        "server's own role cannot.",
    ).tag(config=True)
    sandbox_backend = Enum(
        ("auto", "docker", "bubblewrap", "process"),
        "auto",
        help="What contains generated code: `auto` takes the strongest that works here.",
    ).tag(config=True)
    sandbox_runtime = Enum(
        ("auto", "runc", "runsc"),
        help="Runtime of the Docker engine: `auto` takes gVisor (`runsc`) when the engine has it. "
        "Default: $DEVSTUDIO_SANDBOX_RUNTIME, else `auto`.",
    ).tag(config=True)
    sandbox_pool_floor = Int(
        1, min=0, help="Sandboxes that wait for each tenant that had runs lately, so that the next starts at once."
    ).tag(config=True)
    sandbox_pool_cap = Int(
        4, min=0, help="Most that wait for one tenant when it has many runs. 0: none ever wait."
    ).tag(config=True)
    allow_process_sandbox = Bool(
        True,
        help="Whether, for the single local user, code may run as a plain process when nothing else works here. "
        "Never in team mode.",
    ).tag(config=True)
    docker_host = Unicode("", help="URL of the Docker engine. Default: $DOCKER_HOST, else the local socket.").tag(
        config=True
    )
    run_timeout_s = Float(DEADLINE_S, min=1, help="Longest that one run's tests may take, in seconds.").tag(config=True)
    run_programs = List(
        Unicode(),
        [*PROGRAMS],
        help="Programs that the command of a run may begin with. No boundary, which the sandbox is: a policy with "
        "clear refusals.",
    ).tag(config=True)
    run_limits = Dict(
        help="What one run gets, and the most that a project can ask for, in place of the defaults: "
        "{'memory_bytes': 4294967296, 'cpus': 2.0, 'pids': 256, 'workspace_bytes': 1073741824}."
    ).tag(config=True)
    run_log_bytes = Int(LOG_CAP_BYTES, min=1024, help="What one run may log, in bytes; the rest is cut, visibly.").tag(
        config=True
    )
    run_retention_days = Int(
        RUN_RETENTION_DAYS, min=1, help="How long logs and files of runs are kept after they were written, in days."
    ).tag(config=True)
    default_model = Unicode(
        "", help="Id of the model that is used when a request names none. Default: $DEVSTUDIO_DEFAULT_MODEL."
    ).tag(config=True)
    openai_api_key = Unicode("", help="Key of OpenAI or of a compatible server. Default: $OPENAI_API_KEY.").tag(
        config=True
    )
    openai_base_url = Unicode("", help="URL of a compatible server. Default: $OPENAI_BASE_URL.").tag(config=True)
    openai_models = List(
        Unicode(), help="Names of the models that are offered. Default: $DEVSTUDIO_OPENAI_MODELS, else a built-in list."
    ).tag(config=True)
    anthropic_api_key = Unicode("", help="Key of Anthropic. Default: $ANTHROPIC_API_KEY.").tag(config=True)
    anthropic_base_url = Unicode("", help="URL of a compatible server. Default: $ANTHROPIC_BASE_URL.").tag(config=True)
    anthropic_models = List(
        Unicode(),
        help="Names of the models that are offered. Default: $DEVSTUDIO_ANTHROPIC_MODELS, else a built-in list.",
    ).tag(config=True)
    model_max_tokens = Int(0, min=0, help="Tokens in one reply. Default: $DEVSTUDIO_MODEL_MAX_TOKENS, else 16000.").tag(
        config=True
    )
    model_timeout_s = Float(
        0, min=0, help="Seconds that one call of a model may take. Default: $DEVSTUDIO_MODEL_TIMEOUT_S, else 300."
    ).tag(config=True)
    model_prices = Dict(
        help="Prices by model id, US dollars per million tokens: {'openai/x': {'input': 1.0, 'output': 4.0}}. "
        "Default: $DEVSTUDIO_MODEL_PRICES, else the known prices."
    ).tag(config=True)
    worker = Enum(
        ("embedded", "external"),
        help="Who does runs: `embedded` is this server, and workers help it; `external` leaves them to "
        "`devstudio worker`, which needs PostgreSQL. Default: $DEVSTUDIO_WORKER, else `embedded`.",
    ).tag(config=True)
    worker_threads = Int(2, min=1, help="Runs that this server does at the same time.").tag(config=True)
    web_threads = Int(8, min=1, help="Requests that this server works on at the same time.").tag(config=True)

    warm_kernels = Int(
        1,
        min=0,
        help="Kernels that are started ahead for each tenant and language that asked for one; each takes about 60 MB.",
    ).tag(config=True)
    kernel_away_hours = Float(
        24, min=0.001, help="How long a sandboxed kernel goes on while the server is away, in hours."
    ).tag(config=True)
    rate_limits = Dict(
        help="Rate limits by name, in place of the defaults: {'generate.tenant': '20/minute', 'read.user': ''}; "
        "an empty one is none. In the local mode only those named here hold. See docs/operations.md."
    ).tag(config=True)
    allowed_hosts = List(
        Unicode(),
        help="Host names that the server answers to, without ports; one that starts with a dot stands for all below. "
        "Empty: Jupyter's own check alone, which lets only local names in unless ServerApp.allow_remote_access is set.",
    ).tag(config=True)
    idempotency_hours = Float(
        24, min=0.01, help="How long the answer to a request with an Idempotency-Key is kept, in hours."
    ).tag(config=True)

    @default("data_dir")
    def _default_data_dir(self) -> str:
        return str(default_data_dir())

    @default("database_url")
    def _default_database_url(self) -> str:
        return DataFolder(Path(self.data_dir)).database_url

    @default("sandbox_runtime")
    def _default_sandbox_runtime(self) -> str:
        return os.environ.get("DEVSTUDIO_SANDBOX_RUNTIME", "").strip() or "auto"

    @default("worker")
    def _default_worker(self) -> str:
        return os.environ.get("DEVSTUDIO_WORKER", "").strip() or "embedded"

    @default("allow_process_sandbox")
    def _default_allow_process_sandbox(self) -> bool:
        return auth_mode() == "local"

    @default("database_owner_url")
    def _default_database_owner_url(self) -> str:
        return os.environ.get("DEVSTUDIO_DATABASE_OWNER_URL", "")

    @default("redis_url")
    def _default_redis_url(self) -> str:
        return os.environ.get("DEVSTUDIO_REDIS_URL", "")

    def initialize_settings(self) -> None:
        """Open the database, wire the adapters, and start what goes on in the background, but the worker."""
        configure_logging(self.log.level)
        self._keep_secrets_out_of_logs()
        self._limit_requests()
        self._check_mode()
        self.egress = EgressConfiguration(parent=self).checked()
        self.assembly = Assembly(self._told())
        self.units, self.ports = self.assembly.units, self.assembly.ports
        self.ports.provide(Gateway, Gateway(self._gateway_settings()))
        self._start_streams()
        self._open_gate()
        self._start_watch()
        self._start_kernels()
        self._follow_notebooks()
        self.executor = ThreadPoolExecutor(self.web_threads, thread_name_prefix="devstudio-web")
        if self.serverapp is not None:
            stop_between_callbacks(self.serverapp)

    def _start_kernels(self) -> None:
        """Take over the kernels that outlived the last life of this server, and keep some warm."""
        ours = Ownership(own_name(self.assembly.folder.root), str(self.assembly.life.id))
        host = KernelHost(docker_host=self.docker_host or None, ownership=ours, away_s=self.kernel_away_hours * 3600)
        self.kernel_care = KernelCare(self.settings["kernel_manager"], host, self.warm_kernels)
        self.kernel_care.begin()

    def _limit_requests(self) -> None:
        """Read the limits before anything is opened: a server that cannot keep them does not serve."""
        try:
            self.limiter = RateLimiter(self.rate_limits, self.redis_url)
        except ValueError as error:
            message = f"DevStudioApp.rate_limits: {error}."
            raise SettingsError(message) from error

    def _keep_secrets_out_of_logs(self) -> None:
        """Write one line for each request, of Jupyter's handlers, too, and mask what this server knows as a secret."""
        settings = self._gateway_settings()
        keep_secret(
            str(self.settings["identity_provider"].token or ""),
            settings.openai_api_key or "",
            settings.anthropic_api_key or "",
            os.environ.get("DEVSTUDIO_JWT_SECRET", ""),
            *(str(make_url(url).password or "") for url in (self.database_url, self.database_owner_url) if url),
            str(urlsplit(self.redis_url).password or ""),
        )
        self.settings["log_function"] = log_request

    def _start_streams(self) -> None:
        """Let clients follow events, and remove in the background what is older than its retention."""
        self.feeds = EventFeeds(self.units, self.assembly.wakeups)
        self.ports.provide(EventFeeds, self.feeds)
        chores: dict[str, Chore] = {
            "events": lambda session, limit: EventService(session).remove_old(self.event_retention_days, limit),
            "kv": lambda session, limit: KvService(session).remove_expired(limit),
            "idempotency_keys": remove_expired_keys,
            "runs": RunRetention(self.ports.get(LogStorage), self.ports.get(RunFiles), self.run_retention_days),
            "budgets": expire_reservations,
            "egress_leases": expire_leases,
            "egress_requests": lambda session, limit: remove_old_requests(session, self.egress.log_days, limit),
        }
        if self.units.engine.dialect.name == "sqlite":
            kept = timedelta(days=self.audit_retention_days)
            chores["audit"] = lambda session, limit: AuditService(session).remove_old(now() - kept, limit)
        self.housekeeping = Housekeeping(self.units, chores)
        self.assembly.start()
        self.housekeeping.start()

    def _check_mode(self) -> None:
        """Refuse to serve a team with the means of a single user."""
        self.team = isinstance(self.settings["identity_provider"], TeamIdentityProvider)
        if auth_mode() == "team" and not self.team:
            message = (
                "DEVSTUDIO_AUTH is `team`, but Jupyter has another identity provider. Start with jupyter_config.py."
            )
            raise SettingsError(message)
        if self.team and (self.allow_process_sandbox or self.sandbox_backend == "process"):
            message = (
                "In team mode code never runs as a plain process: every tenant could read every other's files. "
                "Remove DevStudioApp.allow_process_sandbox and sandbox_backend = 'process' from the configuration."
            )
            raise SettingsError(message)

    def _open_gate(self) -> None:
        """Let the team in: from now on, tokens and cookies are looked up in the database.

        Raises `SettingsError` where nothing would keep the code of one tenant from another's.
        """
        provider = self.settings["identity_provider"]
        if not isinstance(provider, TeamIdentityProvider):
            return
        try:
            self.assembly.backend()
        except SandboxError as error:
            message = f"Team mode needs a sandbox that isolates, and {error}"
            raise SettingsError(message) from error
        provider.gate.open(self.units)
        self.ports.provide(Gate, provider.gate)
        # A query in it keeps Jupyter from adding the address that was asked for: that may hold what nobody may log.
        self.settings["login_url"] = f"{self.settings['base_url']}login?required"
        if provider.cookie_same_site == "None":
            self.settings.setdefault("xsrf_cookie_kwargs", {}).update(samesite="None", secure=True)

    def _told(self) -> Settings:
        """Return what the adapters need to know."""
        return Settings(
            data_dir=Path(self.data_dir),
            database_url=self.database_url,
            database_owner_url=self.database_owner_url,
            redis_url=self.redis_url,
            team=self.team,
            sandbox_backend=cast("Preference", self.sandbox_backend),
            sandbox_runtime=cast("Runtime", self.sandbox_runtime),
            sandbox_pool=(self.sandbox_pool_floor, self.sandbox_pool_cap),
            docker_host=self.docker_host,
            allow_process_sandbox=self.allow_process_sandbox,
            run_timeout_s=self.run_timeout_s,
            run_log_bytes=self.run_log_bytes,
            run_programs=tuple(self.run_programs),
            run_limits=self.run_limits,
            egress=self.egress,
            watch=cast("Watch", SyncConfiguration(parent=self).watch),
            worker=cast("WorkerChoice", self.worker),
            worker_threads=self.worker_threads,
        )

    def _gateway_settings(self) -> GatewaySettings:
        """Read the environment; a trait that is set comes before its variable."""
        traits = {
            "DEVSTUDIO_DEFAULT_MODEL": self.default_model,
            "OPENAI_API_KEY": self.openai_api_key,
            "OPENAI_BASE_URL": self.openai_base_url,
            "DEVSTUDIO_OPENAI_MODELS": ",".join(self.openai_models),
            "ANTHROPIC_API_KEY": self.anthropic_api_key,
            "ANTHROPIC_BASE_URL": self.anthropic_base_url,
            "DEVSTUDIO_ANTHROPIC_MODELS": ",".join(self.anthropic_models),
            "DEVSTUDIO_MODEL_MAX_TOKENS": str(self.model_max_tokens or ""),
            "DEVSTUDIO_MODEL_TIMEOUT_S": str(self.model_timeout_s or ""),
            "DEVSTUDIO_MODEL_PRICES": json.dumps(self.model_prices) if self.model_prices else "",
        }
        return GatewaySettings.from_environment(os.environ | {name: value for name, value in traits.items() if value})

    def _start_watch(self) -> None:
        self.ports.provide(
            HealthService,
            HealthService(
                units=self.units,
                worker=self.assembly.worker,
                backend=self.assembly.backend,
                gateway=self.ports.get(Gateway),
                data_dir=self.assembly.folder.root,
                version=__version__,
                redis_url=self.redis_url,
                external=self.worker == "external",
                watcher=self.assembly.watcher,
            ),
        )
        self.assembly.start_watch()

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """Do jobs, now that the server has its port."""
        del serverapp  # it tried the port before, and let it go: a process started then would keep it for a moment
        self.assembly.start_worker()

    def _follow_notebooks(self) -> None:
        """Let a save of a session's notebook update its documents, and say so when Jupyter cannot see the trees."""
        storage = self.ports.get(WorkspaceStorage)
        tenant_root = storage.tenant_root(LOCAL_TENANT_ID)
        contents = self.settings["contents_manager"]
        if not self.team and Path(contents.root_dir).resolve() != tenant_root.resolve():
            self.log.warning(
                "DevStudio's notebooks are in %s, but this server shows %s, so they cannot be opened in JupyterLab. "
                "Start it with `jupyter lab --ServerApp.root_dir=%s`, or with DevStudio's jupyter_config.py.",
                tenant_root,
                contents.root_dir,
                tenant_root,
            )
            return
        sync = NotebookSync(self.units, self.ports.get(GitStorage), storage)
        contents.register_pre_save_hook(
            pre_save_hook(lambda path, content: sync.save(current_actor() or NOBODY, path, content))
        )

    def initialize_handlers(self) -> None:
        """Add the routes of every operation."""
        context = WebContext(
            self.units,
            self.ports,
            self.executor,
            actor_of=actor_of_user,
            limiter=self.limiter,
            answers_kept_for=timedelta(hours=self.idempotency_hours),
            recheck_s=self.stream_recheck_s,
        )
        know_models(model.id for model in self.ports.get(Gateway).models())
        answer_only_to(cast("ServerApp", self.serverapp).web_app, self.allowed_hosts, context)
        base_url = self.settings["base_url"]
        rules = [*too_large_rules(base_url, context), *socket_rules(all_operations(), base_url, context)]
        cast("ServerApp", self.serverapp).web_app.add_handlers(".*$", rules)
        base_url = "/"  # Jupyter puts its own before the handlers of an extension
        self.handlers.append(document_route(base_url, context, document()))
        if self.team:
            self.handlers.extend(launch_routes(base_url, context))
        self.handlers.extend(routes(all_operations(), base_url, context))
        (scope_by_tenant if self.team else mend)(cast("Any", self.serverapp).web_app)

    async def stop_extension(self) -> None:
        """Stop the worker and close the database. A run that is still under way is put back, and done again."""
        if hasattr(self, "kernel_care"):  # a start that failed did not get that far
            await self.kernel_care.end()
        self.assembly.stop_worker()
        await self.limiter.close()
        self.ports.get(HealthService).close()
        self.housekeeping.stop()
        self.assembly.stop()
        self.feeds.close()
        self.ports.get(Gateway).close()
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.assembly.close()

    def current_activity(self) -> Any:
        """Tell Jupyter that this extension keeps the server alive while a run is under way."""
        return self.ports.get(RunControl).active() or None


main = launch_new_instance = DevStudioApp.launch_instance
