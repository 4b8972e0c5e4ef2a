"""`/files/…` of the tenant, through the contents service."""

from __future__ import annotations

from typing import Any

from jupyter_server.files.handlers import FilesHandler
from tornado import web

from devstudio_server.web.base import authorized


class TenantFilesHandler(FilesHandler):
    """Serves a file under a policy that keeps its scripts from this server; no folder of the server is behind it."""

    @web.authenticated
    @authorized("read", "contents")
    async def head(self, path: str) -> None:  # type: ignore[override]
        """Answer with the headers of a file."""
        await self.get(path, include_body=False)  # type: ignore[misc]

    def compute_etag(self) -> Any:
        """Send none: the file is not served from a folder whose state could be compared."""
        return None
