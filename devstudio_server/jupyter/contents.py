"""Saving through Jupyter's contents service: hands notebooks to whoever keeps the documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tornado.web import HTTPError

from devstudio_server.kit.errors import AppError
from devstudio_server.kit.logging import get_logger

_log = get_logger("jupyter")

SaveNotebook = Callable[[str, Any], Any]
"""Takes a path and a notebook; answers the notebook to write instead, or None to leave it."""


def pre_save_hook(save: SaveNotebook) -> Callable[..., None]:
    """Return a hook for `ContentsManager.register_pre_save_hook` that runs ``save`` on each notebook.

    An `AppError` refuses the save: nothing is written, and JupyterLab shows the message; the text stays in the editor.
    """

    def hook(*, model: dict[str, Any], path: str, **_: Any) -> None:
        if model.get("type") != "notebook" or model.get("content") is None:
            return
        try:
            replaced = save(path, model["content"])
        except AppError as error:
            raise HTTPError(error.status, error.detail, reason=error.title) from error
        except Exception as error:
            _log.error("notebook_save_failed", path=path, exc_info=error)
            message = "The session's documents could not be updated, so nothing was saved. The server's log says why."
            raise HTTPError(500, message) from error
        if replaced is not None:
            model["content"] = replaced

    return hook
