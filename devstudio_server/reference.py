"""Write the parts of the docs that come from code: ``python -m devstudio_server.reference [docs/…]``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from traitlets import HasTraits, TraitType

from devstudio_kernels.provisioner import SandboxProvisioner
from devstudio_server.app import DevStudioApp
from devstudio_server.auth.authorizer import resources_table
from devstudio_server.auth.identity import TeamIdentityProvider
from devstudio_server.auth.permissions import ROLE_PERMISSIONS, Permission, Role
from devstudio_server.egress.configuration import EgressConfiguration
from devstudio_server.jupyter.kernels import TenantKernelManager
from devstudio_server.jupyter.kernelspecs import IsolatingKernelSpecManager
from devstudio_server.jupyter.studio_kernels import StudioKernels
from devstudio_server.specs.configuration import SyncConfiguration

_HEAD = ["| Trait | Type | Default | What it does |", "|---|---|---|---|"]


def traits_table(kind: type[HasTraits] = DevStudioApp) -> str:
    """Return the table of every setting of ``kind`` itself, in the order of their names."""
    own = {name: trait for name, trait in kind.class_own_traits(config=True).items() if trait.help}
    rows = [f"| `{name}` | {_type(trait)} | {_default(trait)} | {trait.help} |" for name, trait in sorted(own.items())]
    return "\n".join([*_HEAD, *rows])


def permissions_table() -> str:
    """Return the table of who may do what."""
    roles = list(Role)
    rows = [
        f"| `{permission}` | {' | '.join('yes' if permission in ROLE_PERMISSIONS[role] else '' for role in roles)} |"
        for permission in Permission
    ]
    head = [f"| Permission | {' | '.join(f'`{role}`' for role in roles)} |", "|---" * (len(roles) + 1) + "|"]
    return "\n".join([*head, *rows])


DOCUMENTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "docs/configuration.md": {
        "traits": traits_table,
        "identity-traits": lambda: traits_table(TeamIdentityProvider),
        "studio-kernel-traits": lambda: traits_table(StudioKernels),
        "provisioner-traits": lambda: traits_table(SandboxProvisioner),
        "kernelspec-traits": lambda: traits_table(IsolatingKernelSpecManager),
        "kernel-traits": lambda: traits_table(TenantKernelManager),
        "egress-traits": lambda: traits_table(EgressConfiguration),
        "sync-traits": lambda: traits_table(SyncConfiguration),
    },
    "docs/security.md": {"permissions": permissions_table, "jupyter-resources": resources_table},
}
"""What is written where: into each document, between ``<!-- name:begin -->`` and ``<!-- name:end -->``."""


def written(document: str, text: str) -> str:
    """Return ``text``, the content of ``document``, with each of its tables between its marks.

    Raises ``ValueError`` for a mark that is not there.
    """
    for name, table in DOCUMENTS[document].items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, found, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found and found_end):
            message = f"{document} has no {begin} … {end}"
            raise ValueError(message)
        text = f"{before}{begin}\n{table()}\n{end}{after}"
    return text


def _type(trait: TraitType[object, object]) -> str:
    return type(trait).__name__


def _default(trait: TraitType[object, object]) -> str:
    value = trait.default_value
    shown = isinstance(value, (str, int, float)) and value not in {"", 0}
    return f"`{value}`" if shown else ""


def main() -> None:
    """Rewrite the documents that the command line names, or all of them."""
    checkout = Path(__file__).resolve().parents[1]
    for document in sys.argv[1:] or DOCUMENTS:
        path = checkout / document
        path.write_text(written(document, path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
