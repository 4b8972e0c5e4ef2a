"""`/api/config/…`: settings that pages keep on the server, for each person of each tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.config_manager import BaseJSONConfigManager
from jupyter_server.services.config import ConfigManager
from traitlets import Unicode

from devstudio_server.jupyter.tenancy import TenantFolders, acting_person


class PersonConfigManager(ConfigManager):
    """Keeps what a page stores in a folder of the person. The server's own configuration is not read."""

    workspaces = Unicode(help="Folder with the files of all tenants, one folder each.").tag(config=True)

    def _mine(self) -> BaseJSONConfigManager:
        folder = TenantFolders(Path(self.workspaces)).of_person(acting_person(), "config")
        return BaseJSONConfigManager(config_dir=str(folder))

    def get(self, section_name: str) -> dict[str, Any]:
        """Return a section of the person's settings."""
        return dict(self._mine().get(section_name))

    def set(self, section_name: str, data: Any) -> Any:
        """Store a section of the person's settings."""
        return self._mine().set(section_name, data)

    def update(self, section_name: str, new_data: Any) -> Any:
        """Merge into a section of the person's settings."""
        return self._mine().update(section_name, new_data)
