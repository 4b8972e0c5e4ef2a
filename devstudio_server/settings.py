"""Where the server keeps its data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

DATA_DIR_VARIABLE = "DEVSTUDIO_DATA_DIR"
DATABASE_URL_VARIABLE = "DEVSTUDIO_DATABASE_URL"


def default_data_dir() -> Path:
    """Return the data folder: ``DEVSTUDIO_DATA_DIR``, else the user's data folder of the platform."""
    configured = os.environ.get(DATA_DIR_VARIABLE, "").strip()
    return (
        Path(configured).expanduser().absolute() if configured else Path(platformdirs.user_data_dir("renum-devstudio"))
    )


@dataclass(frozen=True)
class DataFolder:
    """The folders below the data folder; ``0700``, because other users' eyes have no business there."""

    root: Path

    def create(self) -> None:
        """Make them. Raises ``OSError`` when that is not possible."""
        for folder in (self.root, self.repositories, self.workspaces, self.logs, self.run_files):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def database_url(self) -> str:
        """The embedded database, unless ``DEVSTUDIO_DATABASE_URL`` names another."""
        return os.environ.get(DATABASE_URL_VARIABLE, "").strip() or f"sqlite:///{self.root / 'devstudio.db'}"

    @property
    def repositories(self) -> Path:
        """Bare git repositories."""
        return self.root / "repositories"

    @property
    def workspaces(self) -> Path:
        """Trees that Jupyter shows."""
        return self.root / "workspaces"

    @property
    def signing(self) -> Path:
        """The keys that sign patches, approvals and evidence; made when the first of these is signed."""
        return self.root / "signing"

    @property
    def logs(self) -> Path:
        """Logs of runs."""
        return self.root / "logs"

    @property
    def run_files(self) -> Path:
        """What goes into runs and comes out of them."""
        return self.root / "run-files"
