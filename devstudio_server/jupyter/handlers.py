"""Handlers that answer in team mode in place of those of Jupyter and JupyterLab that would show every tenant."""

from __future__ import annotations

import json
import re
from http.client import responses
from pathlib import Path
from typing import Any

from jupyter_server._tz import isoformat
from jupyter_server.base.handlers import APIHandler, PrometheusMetricsHandler
from jupyter_server.nbconvert.handlers import NbconvertFileHandler, NbconvertPostHandler
from jupyter_server.services.api.handlers import APIStatusHandler
from jupyter_server.services.kernels.handlers import KernelActionHandler
from jupyter_server.services.kernelspecs.handlers import MainKernelSpecHandler, kernelspec_model
from jupyter_server.services.nbconvert.handlers import NbconvertRootHandler
from jupyter_server.services.sessions.handlers import SessionRootHandler
from jupyterlab_server.licenses_handler import LicensesHandler
from jupyterlab_server.settings_handler import SettingsHandler
from jupyterlab_server.translations_handler import TranslationsHandler
from jupyterlab_server.workspaces_handler import WorkspacesHandler, WorkspacesManager
from nbconvert.exporters import get_exporter
from tornado import web

from devstudio_server.auth.surface import refusal
from devstudio_server.jupyter.contents_manager import TenantContentsManager
from devstudio_server.jupyter.tenancy import acting_person
from devstudio_server.web.base import authorized

_SCHEMA_NAME = re.compile(r"(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*:[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""A package's name as npm takes it, and the name of one of its plugins."""
_BUNDLES = re.compile(r"[\w@/.*|^$-]{0,200}")
_SANITIZER = "@jupyterlab/apputils-extension:sanitizer"
NBCONVERT_FORMATS = ("html", "markdown", "notebook", "python")


class RefusedHandler(APIHandler):
    """Answers in place of what team mode does not offer."""

    def initialize(self, resource: str = "", **_: Any) -> None:
        """Take the name of what is refused."""
        self.resource = resource

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse whoever is signed in; whoever is not learns nothing."""
        await super().prepare()
        if self.current_user is None:
            raise web.HTTPError(403)
        raise web.HTTPError(403, refusal("use", self.resource) if self.resource else _UNKNOWN)

    @web.authenticated
    @authorized("read", "refused")
    async def get(self, *_args: str, **_named: str) -> None:
        """Never reached: `prepare` has refused."""

    head = post = put = patch = delete = get


class TenantStatusHandler(APIStatusHandler):
    """`/api/status` with the tenant's own kernels, and nothing of when others were at work."""

    @web.authenticated
    @authorized("read", "api")
    async def get(self) -> None:
        """Return the state of the tenant's kernels."""
        kernels = self.kernel_manager.list_kernels()
        started = isoformat(self.settings["started"])
        model = {
            "started": started,
            "last_activity": max((kernel["last_activity"] for kernel in kernels), default=started),
            "kernels": len(kernels),
            "connections": sum(kernel["connections"] for kernel in kernels),
        }
        self.finish(json.dumps(model, sort_keys=True))


class StudioSessionsHandler(SessionRootHandler):
    """`/api/sessions`: why a kernel cannot be started reaches the person, where Jupyter makes a bare 500 of it."""

    @web.authenticated
    @authorized("write", "sessions")
    async def post(self) -> None:
        """Start a kernel for a notebook."""
        try:
            await super().post()  # type: ignore[misc]
        except web.HTTPError as error:
            if isinstance(error.__cause__, web.HTTPError):
                raise error.__cause__ from error
            raise

    @web.authenticated
    @authorized("read", "sessions")
    async def get(self) -> None:
        """Return the sessions."""
        await super().get()  # type: ignore[misc]


class TenantKernelActionHandler(KernelActionHandler):
    """Interrupts and restarts; a kernel that is not the tenant's is not found, for either."""

    @web.authenticated
    @authorized("write", "kernels")
    async def post(self, kernel_id: str, action: str) -> None:
        """Interrupt or restart a kernel."""
        self.kernel_manager.get_kernel(kernel_id)
        await super().post(kernel_id, action)  # type: ignore[misc]


class TenantKernelSpecsHandler(MainKernelSpecHandler):
    """Lists the kernelspecs, with a default that is one of them."""

    @web.authenticated
    @authorized("read", "kernelspecs")
    async def get(self) -> None:
        """Return the kernelspecs."""
        specs = await self.kernel_specs()
        default: str = self.settings["kernel_manager"].usable_kernel_name()
        self.finish(json.dumps({"default": default, "kernelspecs": specs}))

    async def kernel_specs(self) -> dict[str, Any]:
        """Return the models by name."""
        found = self.kernel_spec_manager.get_all_specs()
        return {name: kernelspec_model(self, name, info["spec"], info["resource_dir"]) for name, info in found.items()}


class AnsweringLicensesHandler(LicensesHandler):
    """Licenses of JupyterLab. Its own handler never ends a refused request, so anybody could hold connections open."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse a pattern that could run for ever."""
        await super().prepare()
        if not _BUNDLES.fullmatch(self.get_query_argument("bundles", "")):
            raise web.HTTPError(400, "bundles takes names of packages, with * and |.")

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer with the status."""
        self.set_status(status_code)
        self.set_header("Content-Type", "application/json")
        web.RequestHandler.finish(self, json.dumps({"message": responses.get(status_code, "Error")}))


class PersonWorkspacesHandler(WorkspacesHandler):
    """Layouts of JupyterLab, for each person of each tenant."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Choose the folder once it is known who asks."""
        await super().prepare()
        self.manager = WorkspacesManager(str(_person_folder(self, "workspaces")))


class StudioSettingsHandler(SettingsHandler):
    """Settings of JupyterLab, with safe defaults: a document's links run no command of the page."""

    def initialize(self, name: str, **options: Any) -> None:  # type: ignore[override]
        """Take the overrides of the installation, and add ours."""
        super().initialize(name, **options)
        given = self.overrides.get(_SANITIZER, {})
        self.overrides = {**self.overrides, _SANITIZER: {**given, "allowCommandLinker": False}}

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse a name that is none: JupyterLab makes a path of it, and would read any JSON file of the server."""
        await super().prepare()
        name = self.path_kwargs.get("schema_name") or ""
        if name and not _SCHEMA_NAME.fullmatch(name):
            raise web.HTTPError(404, f"Schema not found: {name[:200]}")


class PersonSettingsHandler(StudioSettingsHandler):
    """Settings of JupyterLab, for each person of each tenant."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Choose the folder once it is known who asks."""
        await super().prepare()
        self.settings_dir = str(_person_folder(self, "settings"))


class PersonTranslationsHandler(TranslationsHandler):
    """Translations of JupyterLab, in the language of the person."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Choose the folder once it is known who asks."""
        await super().prepare()
        self.settings_dir = str(_person_folder(self, "settings"))


class SafeNbconvertFileHandler(NbconvertFileHandler):
    """Converts a notebook of the tenant, to formats that start no browser, no LaTeX and no other program."""

    @web.authenticated
    @authorized("read", "nbconvert")
    async def get(self, format: str, path: str) -> None:  # noqa: A002
        """Return the notebook at ``path`` in another format."""
        _check_format(format)
        await super().get(format, path)  # type: ignore[misc]


class SafeNbconvertPostHandler(NbconvertPostHandler):
    """Converts a notebook that is sent, to the same formats."""

    @web.authenticated
    @authorized("write", "nbconvert")
    async def post(self, format: str) -> None:  # noqa: A002
        """Return the notebook of the body in another format."""
        _check_format(format)
        await super().post(format)  # type: ignore[misc]


class SafeNbconvertRootHandler(NbconvertRootHandler):
    """Lists the formats that a notebook can be converted to."""

    @web.authenticated
    @authorized("read", "nbconvert")
    async def get(self) -> None:
        """Return the formats with their media types."""
        formats = {name: {"output_mimetype": get_exporter(name).output_mimetype} for name in NBCONVERT_FORMATS}
        self.finish(json.dumps(formats))


class OperatorMetricsHandler(PrometheusMetricsHandler):
    """`/metrics` counts what all tenants do."""

    @web.authenticated
    @authorized("read", "metrics")
    async def get(self) -> None:  # type: ignore[override]
        """Return the metrics of the whole server."""
        super().get()


def _check_format(name: str) -> None:
    if name not in NBCONVERT_FORMATS:
        offered = ", ".join(NBCONVERT_FORMATS)
        raise web.HTTPError(403, f"In team mode notebooks are converted to {offered}; {name!r} would start a program.")


def _person_folder(handler: APIHandler, name: str) -> Path:
    contents = handler.contents_manager
    if not isinstance(contents, TenantContentsManager):
        raise web.HTTPError(500, "Contents are not scoped by tenant, so nothing else of a person is shown.")
    return contents.folders.of_person(acting_person(), name)


_UNKNOWN = (
    "This server lets nobody use what is behind this address: team mode offers only parts of Jupyter that keep tenants "
    "apart, and an extension that is installed here is not one of them."
)
