"""Every handler of Jupyter that team mode knows, by its class. What is not named here is refused.

`StudioAuthorizer` is only asked by handlers that ask. Some handlers of JupyterLab do not, and an extension that
somebody installs may not either. So each request passes `check_route` first, as soon as its user is known.
"""

from __future__ import annotations

from collections.abc import Awaitable

from jupyter_server.auth.utils import HTTP_METHOD_TO_AUTH_ACTION
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from devstudio_server.auth.authorizer import RESOURCES, Access, permits
from devstudio_server.auth.user import StudioUser
from devstudio_server.db.scope import REQUEST_ID
from devstudio_server.kit.ids import new_id

OURS = "devstudio_server."
"""Handlers of this package that `ROUTES` does not name declare what they need themselves."""

PUBLIC = frozenset(
    {
        "jupyter_server.auth.login.LoginFormHandler",
        "jupyter_server.auth.logout.LogoutHandler",
        "jupyter_server.base.handlers.PublicStaticFileHandler",
        "jupyter_server.base.handlers.RedirectWithParams",
        "jupyter_server.base.handlers.Template404",
        "jupyter_server.base.handlers.TrailingSlashHandler",
    }
)
"""Handlers that answer without credentials: the way in, the way out, icons, and redirects to what is not public."""

PUBLIC_FILES = "jupyter_server.base.handlers.FileFindHandler"
"""Serves files of installed packages. The login page needs those below `/static/`; all others are for its users."""
PUBLIC_FILE_PATHS = ("static/", "favicon.ico", "robots.txt")

_JUPYTER = "jupyter_server"
_SCOPED = "devstudio_server.jupyter"
ROUTES: dict[str, str] = {
    f"{_SCOPED}.files.TenantFilesHandler": "contents",
    f"{_SCOPED}.handlers.AnsweringLicensesHandler": "lab",
    f"{_SCOPED}.handlers.OperatorMetricsHandler": "metrics",
    f"{_SCOPED}.handlers.PersonSettingsHandler": "labstate",
    f"{_SCOPED}.handlers.PersonTranslationsHandler": "lab",
    f"{_SCOPED}.handlers.PersonWorkspacesHandler": "labstate",
    f"{_SCOPED}.handlers.SafeNbconvertFileHandler": "nbconvert",
    f"{_SCOPED}.handlers.SafeNbconvertPostHandler": "nbconvert",
    f"{_SCOPED}.handlers.SafeNbconvertRootHandler": "nbconvert",
    f"{_SCOPED}.handlers.TenantKernelActionHandler": "kernels",
    f"{_SCOPED}.handlers.TenantKernelSpecsHandler": "kernelspecs",
    f"{_SCOPED}.handlers.TenantStatusHandler": "api",
    f"{_SCOPED}.sockets.TenantKernelWebsocket": "kernels",
    f"{_SCOPED}.sockets.TenantSubscribeWebsocket": "events",
    f"{_JUPYTER}.base.handlers.APIVersionHandler": "api",
    f"{_JUPYTER}.base.handlers.FileFindHandler": "lab",
    f"{_JUPYTER}.kernelspecs.handlers.KernelSpecResourceHandler": "kernelspecs",
    f"{_JUPYTER}.services.api.handlers.APISpecHandler": "api",
    f"{_JUPYTER}.services.api.handlers.IdentityHandler": "api",
    f"{_JUPYTER}.services.api.handlers.PathResolverHandler": "contents",
    f"{_JUPYTER}.services.config.handlers.ConfigHandler": "config",
    f"{_JUPYTER}.services.contents.handlers.CheckpointsHandler": "contents",
    f"{_JUPYTER}.services.contents.handlers.ContentsHandler": "contents",
    f"{_JUPYTER}.services.contents.handlers.ModifyCheckpointsHandler": "contents",
    f"{_JUPYTER}.services.contents.handlers.NotebooksRedirectHandler": "contents",
    f"{_JUPYTER}.services.contents.handlers.TrustNotebooksHandler": "contents",
    f"{_JUPYTER}.services.events.handlers.EventHandler": "events",
    f"{_JUPYTER}.services.kernels.handlers.KernelHandler": "kernels",
    f"{_JUPYTER}.services.kernels.handlers.MainKernelHandler": "kernels",
    f"{_JUPYTER}.services.kernelspecs.handlers.KernelSpecHandler": "kernelspecs",
    f"{_JUPYTER}.services.security.handlers.CSPReportHandler": "csp",
    f"{_JUPYTER}.services.sessions.handlers.SessionHandler": "sessions",
    f"{_JUPYTER}.services.shutdown.ShutdownHandler": "server",
    f"{_JUPYTER}.view.handlers.ViewHandler": "contents",
    "jupyter_server_terminals.api_handlers.TerminalHandler": "terminals",
    "jupyter_server_terminals.api_handlers.TerminalRootHandler": "terminals",
    "jupyter_server_terminals.handlers.TermSocket": "terminals",
    "jupyter_lsp.handlers.LanguageServersHandler": "lsp",
    "jupyter_lsp.handlers.LanguageServerWebSocketHandler": "lsp",
    "jupyterlab.handlers.announcements.CheckForUpdateHandler": "lab",
    "jupyterlab.handlers.announcements.NewsHandler": "lab",
    "jupyterlab.handlers.build_handler.BuildHandler": "extensions",
    "jupyterlab.handlers.extension_manager_handler.ExtensionHandler": "extensions",
    "jupyterlab.handlers.plugin_manager_handler.PluginHandler": "lab",
    "jupyterlab_server.handlers.LabHandler": "lab",
    "jupyterlab_server.handlers.NotFoundHandler": "lab",
    "jupyterlab_server.listings_handler.ListingsHandler": "lab",
    "jupyterlab_server.themes_handler.ThemesHandler": "lab",
}
"""The resource of each handler class, exactly: a class that derives from one of these is another class."""


def class_name(handler: type[RequestHandler]) -> str:
    """Return the name by which the tables know a handler class."""
    return f"{handler.__module__}.{handler.__qualname__}"


def is_known(handler: type[RequestHandler]) -> bool:
    """Tell whether team mode lets requests through to ``handler`` at all."""
    name = class_name(handler)
    return name.startswith(OURS) or name in ROUTES or name in PUBLIC


async def checked(handler: RequestHandler, finding: Awaitable[StudioUser | None]) -> StudioUser | None:
    """Return the user whom ``finding`` finds, once `check_route` lets them through: what `get_user` returns."""
    if not REQUEST_ID.get():
        REQUEST_ID.set(str(new_id()))  # a request to Jupyter's own handlers: what it changes is noted under this id
    user = await finding
    check_route(handler, user)
    return user


def check_route(handler: RequestHandler, user: StudioUser | None) -> None:
    """Refuse a request that ``user`` (None: nobody) may not bring to ``handler``, whatever the handler itself checks.

    Raises `HTTPError` 403.
    """
    handler.current_user = user  # Jupyter's error pages ask for it, and its own `prepare` has not come so far
    if user is None:
        _check_nobody(handler)
    elif not user.actor.sole_user:
        _check_member(handler, user)


def _check_nobody(handler: RequestHandler) -> None:
    """Jupyter turns nobody away from what it calls public; let only those through that have a reason to be."""
    method = getattr(handler, str(handler.request.method).lower(), None)
    if not getattr(method, "__allow_unauthenticated", False):
        return  # Jupyter answers with its login page, or refuses
    name = class_name(type(handler))
    if handler.request.method == "OPTIONS":
        allowed = _asks_of_other_origins(handler)
    elif name == PUBLIC_FILES:
        allowed = _below_base(handler).startswith(PUBLIC_FILE_PATHS)
    else:
        allowed = name in PUBLIC or name.startswith(OURS)
    if not allowed:
        raise HTTPError(403, "Sign in first.")


def _check_member(handler: RequestHandler, user: StudioUser) -> None:
    name = class_name(type(handler))
    resource = ROUTES.get(name)
    if resource is None:
        if name in PUBLIC or name.startswith(OURS):
            return
        raise HTTPError(403, "This server lets nobody use what is behind this address.")
    action = "execute" if isinstance(handler, WebSocketHandler) else _action(handler)
    if not permits(user.actor, action, resource):
        raise HTTPError(403, refusal(action, resource))


def refusal(action: str, resource: str) -> str:
    """Return the sentence that tells a person why they may not do ``action`` on ``resource``."""
    access = RESOURCES.get(resource, Access(why="nobody has said who may use it"))
    if (access.read, access.write, access.execute) == (None, None, None):
        return f"The resource {resource!r} is off in team mode: {access.why}."
    need = access.need(action)
    if need is None:
        return f"Nobody may {action} the resource {resource!r} in team mode."
    return f"Your roles do not let you {action} the resource {resource!r}: that takes the permission {need}."


def _action(handler: RequestHandler) -> str:
    return str(HTTP_METHOD_TO_AUTH_ACTION.get(str(handler.request.method), "write"))


def _below_base(handler: RequestHandler) -> str:
    base = str(handler.settings.get("base_url", "/"))
    return handler.request.path.removeprefix(base).lstrip("/")


def _asks_of_other_origins(handler: RequestHandler) -> bool:
    """Tell whether pages of another origin may call: their browser then asks with OPTIONS, without credentials."""
    settings = handler.settings
    named = settings.get("allow_origin") or settings.get("allow_origin_pat")
    return bool(named or "Access-Control-Allow-Origin" in settings.get("headers", {}))
