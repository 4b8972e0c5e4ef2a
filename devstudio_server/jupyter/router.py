"""Puts the tenants' handlers in place of Jupyter's, and refuses handlers that nobody has looked at."""

from __future__ import annotations

from typing import Any, cast

from jupyter_server.utils import url_path_join
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import ReversibleRuleRouter
from tornado.web import Application, RequestHandler, _ApplicationRouter, _HandlerDelegate

from devstudio_server.auth.surface import class_name, is_known
from devstudio_server.jupyter import handlers, sockets

_JUPYTER = "jupyter_server"
MENDED: dict[str, type[RequestHandler]] = {
    f"{_JUPYTER}.services.sessions.handlers.SessionRootHandler": handlers.StudioSessionsHandler,
    "jupyterlab_server.licenses_handler.LicensesHandler": handlers.AnsweringLicensesHandler,
    "jupyterlab_server.settings_handler.SettingsHandler": handlers.StudioSettingsHandler,
}
"""Which handler answers in place of which in both modes."""

REPLACED: dict[str, type[RequestHandler]] = MENDED | {
    f"{_JUPYTER}.base.handlers.PrometheusMetricsHandler": handlers.OperatorMetricsHandler,
    f"{_JUPYTER}.nbconvert.handlers.NbconvertFileHandler": handlers.SafeNbconvertFileHandler,
    f"{_JUPYTER}.nbconvert.handlers.NbconvertPostHandler": handlers.SafeNbconvertPostHandler,
    f"{_JUPYTER}.services.api.handlers.APIStatusHandler": handlers.TenantStatusHandler,
    f"{_JUPYTER}.services.events.handlers.SubscribeWebsocket": sockets.TenantSubscribeWebsocket,
    f"{_JUPYTER}.services.kernels.handlers.KernelActionHandler": handlers.TenantKernelActionHandler,
    f"{_JUPYTER}.services.kernels.websocket.KernelWebsocketHandler": sockets.TenantKernelWebsocket,
    f"{_JUPYTER}.services.kernelspecs.handlers.MainKernelSpecHandler": handlers.TenantKernelSpecsHandler,
    f"{_JUPYTER}.services.nbconvert.handlers.NbconvertRootHandler": handlers.SafeNbconvertRootHandler,
    "jupyterlab_server.settings_handler.SettingsHandler": handlers.PersonSettingsHandler,
    "jupyterlab_server.translations_handler.TranslationsHandler": handlers.PersonTranslationsHandler,
    "jupyterlab_server.workspaces_handler.WorkspacesHandler": handlers.PersonWorkspacesHandler,
}
"""Which handler answers in place of which in team mode."""

REFUSED_PATHS = (
    (r"api/terminals(?:/.*)?", "terminals"),
    (r"terminals/.*", "terminals"),
    (r"lsp/.*", "lsp"),
    (r"proxy/.*", "proxy"),
    (r"api/shutdown", "server"),
    (r"lab/api/extensions(?:/.*)?", "extensions"),
    (r"lab/api/build(?:/.*)?", "extensions"),
)
"""What is refused by name, whether or not something is installed behind it."""


class StudioRouter(_ApplicationRouter):
    """Finds a handler as the application does, and then decides which class may answer."""

    def __init__(self, application: Application, rules: list[Any], replaced: dict[str, type[RequestHandler]]) -> None:
        """Put ``rules`` before those of ``application``, to which later ones are still added."""
        super().__init__(application, cast("Any", rules))
        existing = cast("ReversibleRuleRouter", application.default_router)
        existing.rules[:0] = self.rules
        self.rules = existing.rules
        self.replaced = replaced

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """Return what answers ``request``."""
        delegate = super().find_handler(request, **kwargs)
        if isinstance(delegate, _HandlerDelegate):
            delegate.handler_class = self.answering(delegate.handler_class)
        return delegate

    def answering(self, found: type[RequestHandler]) -> type[RequestHandler]:
        """Return the class that answers where ``found`` is routed."""
        return self.replaced.get(class_name(found), found)


class TenantRouter(StudioRouter):
    """Lets only those handlers answer that team mode knows."""

    def answering(self, found: type[RequestHandler]) -> type[RequestHandler]:
        """Return the class that answers where ``found`` is routed, or one that refuses."""
        answering = super().answering(found)
        return answering if is_known(answering) else handlers.RefusedHandler


def mend(application: Application) -> None:
    """Put handlers that work in place of those that do not; all else stays as Jupyter has it."""
    application.default_router = StudioRouter(application, [], MENDED)


def scope_by_tenant(application: Application) -> None:
    """Make ``application`` answer every request in the way of team mode, also on routes that are added later."""
    base = str(application.settings["base_url"])
    refused = [
        (url_path_join(base, path), handlers.RefusedHandler, {"resource": resource}) for path, resource in REFUSED_PATHS
    ]
    rules = [(r".*", _ApplicationRouter(application, cast("Any", refused)))]
    application.default_router = TenantRouter(application, rules, REPLACED)
    application.settings["page_config_hook"] = team_page


def team_page(handler: Any, page: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - Jupyter gives both
    """Tell JupyterLab's page what team mode does not offer, and no folder of the server."""
    off = {
        "@jupyterlab/extensionmanager-extension",
        "@jupyterlab/fileeditor-extension:language-server",
        "@jupyterlab/lsp-extension",
        "@jupyterlab/notebook-extension:language-server",
        "@jupyterlab/terminal-extension",
    }
    folders = {name: "" for name in page if name.endswith("Dir") or name == "serverRoot"}
    return (
        page
        | folders
        | {
            "buildAvailable": False,
            "buildCheck": False,
            "disabledExtensions": sorted({*page.get("disabledExtensions", []), *off}),
            "terminalsAvailable": False,
            "token": "",
        }
    )
