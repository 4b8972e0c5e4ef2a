"""Git plumbing and the project's tree. The bare repository is the truth of the code."""

from devstudio_server.scm.git import GitRepository
from devstudio_server.scm.storage import GitStorage

__all__ = ["GitRepository", "GitStorage"]
