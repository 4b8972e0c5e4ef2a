"""RENUM DevStudio: spec-driven development inside Jupyter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstudio_server._version import __version__

if TYPE_CHECKING:
    from devstudio_server.app import DevStudioApp


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "@renum/devstudio"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from devstudio_server.app import DevStudioApp  # noqa: PLC0415 - Jupyter imports this package only to ask for paths

    return [{"module": "devstudio_server", "app": DevStudioApp}]


__all__ = ["DevStudioApp", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "DevStudioApp":
        from devstudio_server.app import DevStudioApp  # noqa: PLC0415 - see above

        return DevStudioApp
    message = f"module {__name__} has no attribute {name}"
    raise AttributeError(message)
