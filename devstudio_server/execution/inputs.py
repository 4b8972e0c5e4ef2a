"""The input of a run: the tree that goes into its sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from devstudio_sandbox import ArchiveEntry, pack
from devstudio_server.execution.models import Run
from devstudio_server.execution.run_files import RunFiles
from devstudio_server.scm import GitStorage

INPUT = "input.tar"
MAX_INPUT_BYTES = 1024 * 1024 * 1024


class RunInputs:
    """Gives workers the trees of runs: out of the repository where that is at hand, else shipped as a file of the run.

    ``shipped`` when a worker may be a process that has no repositories.
    """

    def __init__(self, git: GitStorage, files: RunFiles, *, shipped: bool) -> None:
        """Read trees from ``git``, and ship them through ``files``."""
        self._git = git
        self._files = files
        self.shipped = shipped

    def ship(self, run: Run) -> None:
        """Keep the input of ``run`` where any worker finds it. Harmless to repeat."""
        self._files.save(run.tenant_id, run.id, INPUT, self._pack(run), MAX_INPUT_BYTES)

    def discard(self, run: Run) -> None:
        """Let go of the bytes of a shipped input that nobody needs any more; its name stays."""
        if self.shipped:
            self._files.save(run.tenant_id, run.id, INPUT, (), 0)

    def archive(self, run: Run) -> Iterable[bytes]:
        """Return the input as a tar stream."""
        return self._files.open(run.tenant_id, run.id, INPUT) if self.shipped else self._pack(run)

    def _pack(self, run: Run) -> Iterator[bytes]:
        files = self._git.repository(run.tenant_id, run.project_id).contents(str(run.tree))
        return pack(ArchiveEntry(file.path, file.content, 0o755 if file.executable else 0o644) for file in files)
