"""What decides the answers."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from support.model_server.forms import Answer, Call, Fault, SeenRequest

_TASK_KEY = re.compile(r"task key: ([\d.]+)", re.IGNORECASE)


class Brain(Protocol):
    """Decides what to answer. Called from many threads."""

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Answer one request."""
        ...


class ScriptBrain:
    """Gives the listed answers one after the other, and the last one for ever."""

    def __init__(self, script: Sequence[Answer | Fault]) -> None:
        """Take the script."""
        self._script = list(script)
        self._lock = threading.Lock()

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Give the next answer."""
        del request
        with self._lock:
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]


class AnswersBrain:
    """Answers from a folder: ``requirements.md``, ``design.md``, ``tasks.md``, and ``tasks/<key>/`` with whole files.

    ``tasks/<key>.summary.txt`` is the summary. The task's key is found in the prompt, as ``Task key: 1.2``.
    """

    def __init__(self, folder: Path) -> None:
        """Answer from ``folder``; raises ``NotADirectoryError``."""
        if not folder.is_dir():
            raise NotADirectoryError(folder)
        self._folder = folder

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Answer with the tool that is offered for it."""
        if "write_documents" in request.tools:
            return Answer(calls=[Call("write_documents", self._documents())])
        key = _TASK_KEY.search("\n".join(turn.text for turn in request.turns))
        if "propose_changes" not in request.tools or key is None:
            return Answer("I know neither the tool nor the task.")
        listing = [turn.text for turn in request.turns if turn.role == "tool"]
        if "list_files" in request.tools and not listing:
            return Answer(calls=[Call("list_files", {"glob": "*"})])
        return self._changes(key.group(1).rstrip("."), set("\n".join(listing).splitlines()))

    def _documents(self) -> dict[str, str]:
        paths = [self._folder / f"{name}.md" for name in ("requirements", "design", "tasks")]
        return {path.stem: path.read_text("utf-8") for path in paths if path.exists()}

    def _changes(self, key: str, existing: set[str]) -> Answer:
        folder = self._folder / "tasks" / key
        files = [
            {
                "path": path.relative_to(folder).as_posix(),
                "action": "update" if path.relative_to(folder).as_posix() in existing else "create",
                "content": path.read_text("utf-8"),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        if not files:
            return Answer(f"There is no answer for task {key}.")
        summary = self._folder / "tasks" / f"{key}.summary.txt"
        text = summary.read_text("utf-8").strip() if summary.exists() else f"Task {key}"
        return Answer(calls=[Call("propose_changes", {"summary": text, "files": files})])
