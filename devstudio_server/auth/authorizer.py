"""Jupyter's own resources on DevStudio's permissions: one table, and what it does not name is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import User

from devstudio_server.auth.permissions import Permission
from devstudio_server.auth.user import StudioUser
from devstudio_server.db import Actor


class SignedIn:
    """Asks for no permission: any signed-in person may, because it is harmless or their own."""

    def __str__(self) -> str:
        """Return the words of the docs."""
        return "signed in"


SIGNED_IN = SignedIn()
Need = Permission | SignedIn | None


@dataclass(frozen=True)
class Access:
    """What each of Jupyter's three actions on a resource asks for; None refuses it to everybody."""

    read: Need = None
    write: Need = None
    execute: Need = None
    why: str = ""

    def need(self, action: str) -> Need:
        """Return what ``action`` asks for; an action that Jupyter does not know is refused."""
        return getattr(self, action) if action in {"read", "write", "execute"} else None


_READ = Permission.SPEC_READ
_REFUSED_ON_HOST = "it runs on the server itself, outside every sandbox"

RESOURCES: dict[str, Access] = {
    "api": Access(read=SIGNED_IN, why="names, versions and the own kernels' state"),
    "config": Access(read=SIGNED_IN, write=SIGNED_IN, why="the person's own settings of the page"),
    "contents": Access(read=_READ, write=Permission.SPEC_UPDATE, why="files of the own tenant"),
    "csp": Access(why="a browser's report would reach the log unmasked"),
    "devstudio": Access(read=SIGNED_IN, write=SIGNED_IN, execute=SIGNED_IN, why="each operation asks for its own"),
    "events": Access(read=_READ, write=Permission.SPEC_UPDATE, execute=_READ, why="events of the own tenant"),
    "extensions": Access(why="it installs programs on the server"),
    "kernels": Access(
        read=_READ, write=Permission.EXEC_RUN, execute=Permission.EXEC_RUN, why="kernels of the own tenant"
    ),
    "kernelspecs": Access(read=_READ, why="kernels that run in a sandbox"),
    "lab": Access(read=SIGNED_IN, why="JupyterLab's page, its schemas, translations, themes and licenses"),
    "labstate": Access(read=SIGNED_IN, write=SIGNED_IN, why="the person's own layout and settings of JupyterLab"),
    "lsp": Access(why=f"a language server starts a program; {_REFUSED_ON_HOST}"),
    "metrics": Access(read=Permission.METRICS_READ, why="counts over all tenants, for who runs the server"),
    "nbconvert": Access(read=_READ, write=_READ, why="notebooks of the own tenant, in formats that start no program"),
    "proxy": Access(why="it reaches ports of the server's network"),
    "server": Access(why="shutting down ends the work of every tenant"),
    "sessions": Access(read=_READ, write=Permission.EXEC_RUN, why="sessions of the own tenant"),
    "terminals": Access(why=f"a terminal is a shell; {_REFUSED_ON_HOST}"),
}
"""Every resource of team mode. ``why`` says what it reaches, or why it is refused."""


def permits(actor: Actor, action: str, resource: str) -> bool:
    """Tell whether ``actor`` may do ``action`` on Jupyter's ``resource``. In local mode the one user may do all."""
    if actor.sole_user:
        return True
    access = RESOURCES.get(resource)
    need = access.need(action) if access else None
    if need is None:
        return False
    return isinstance(need, SignedIn) or actor.may(need)


class StudioAuthorizer(Authorizer):
    """Decides for Jupyter's `@authorized`. A user that none of our identity providers made may do nothing."""

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:  # noqa: ARG002
        """Tell whether ``user`` may do ``action`` on ``resource``."""
        return isinstance(user, StudioUser) and permits(user.actor, action, resource)


def resources_table() -> str:
    """Return the table of resources for the docs."""
    rows = [
        f"| `{name}` | {_said(access.read)} | {_said(access.write)} | {_said(access.execute)} | {access.why} |"
        for name, access in sorted(RESOURCES.items())
    ]
    return "\n".join(["| Resource | Read | Write | Execute | What it reaches |", "|---|---|---|---|---|", *rows])


def _said(need: Need) -> str:
    if need is None:
        return "refused"
    return str(need) if isinstance(need, SignedIn) else f"`{need}`"
