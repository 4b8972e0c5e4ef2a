"""What may not reach a model outside the company's house: marked parts of documents, and files by patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pathspec import GitIgnoreSpec

from devstudio_server.ai.ports import Message, RepositoryReader, ToolMessage, UserMessage
from devstudio_server.ai.schemas import Model, Provider
from devstudio_server.kit import restricted

RESTRICTED_FILE = ".devstudio/restricted"
"""The patterns, as in ``.gitignore``, of files that are never listed or read for an outside model."""

_WORD = re.compile(r"[^\W_]{5,}")
_SCRUBBED = "[a line that tells of restricted files, not shown]"


def is_outside(model: Model) -> bool:
    """Tell whether what is sent to ``model`` leaves the company's house; rules on this server never do."""
    return model.provider is not Provider.OFFLINE and model.outside


def without_restricted(markdown: str, model: Model) -> tuple[str, list[str]]:
    """Return ``markdown`` as ``model`` may see it, and for the person where something was left out.

    In place of each part that was left out stands one line with its label and id, so that numbers stay what they are.
    """
    if not is_outside(model):
        return markdown, []
    cut = restricted.cut(markdown)
    return cut.text, [f"lines {part.start + 1} to {part.end}" for part in cut.lines]


def visible_documents(documents: Mapping[str, str], model: Model) -> tuple[dict[str, str], list[str]]:
    """Return the documents, by name, as ``model`` may see them, and warnings for the person."""
    texts: dict[str, str] = {}
    warnings: list[str] = []
    for name, text in documents.items():
        texts[name], left_out = without_restricted(text, model)
        if left_out:
            places = "; ".join(left_out)
            warnings.append(f"Restricted parts of {name} were not shown to {model.id}: {places}.")
    return texts, warnings


def put_back(before: str, after: str, model: Model) -> str:
    """Return the document ``after``, which ``model`` made from ``before``, with the parts that it was not shown."""
    return restricted.put_back(restricted.cut(before), after) if is_outside(model) else after


class RestrictedFiles:
    """Which paths of a repository are restricted. What cannot be understood restricts everything."""

    def __init__(self, patterns: str | None) -> None:
        """Read the text of `RESTRICTED_FILE`; ``None`` when there is none, which restricts nothing."""
        self._all = False
        self._spec = GitIgnoreSpec.from_lines([])
        self._present = patterns is not None
        try:
            self._spec = GitIgnoreSpec.from_lines((patterns or "").splitlines())
        except (ValueError, re.error):
            self._all = True

    def hides(self, path: str) -> bool:
        """Tell whether ``path`` must not be known outside. The list itself tells of them, so it is one of them."""
        return self._all or (self._present and path == RESTRICTED_FILE) or self._spec.match_file(path)

    def visible(self, paths: Iterable[str]) -> list[str]:
        """Return those of ``paths`` that are not restricted."""
        return [path for path in paths if not self.hides(path)]


class VisibleReader:
    """A repository as an outside model may see it: what is restricted is not there."""

    def __init__(self, reader: RepositoryReader) -> None:
        """Look at ``reader`` through its own list of what is restricted."""
        self._reader = reader
        self._files = RestrictedFiles(reader.read_file(RESTRICTED_FILE))

    def list_files(self) -> Sequence[str]:
        """Return the path of every file that is not restricted."""
        return self._files.visible(self._reader.list_files())

    def read_file(self, path: str) -> str | None:
        """Return a file's text; ``None`` when there is none for this model."""
        return None if self._files.hides(path) else self._reader.read_file(path)


def visible_reader(reader: RepositoryReader, model: Model) -> RepositoryReader:
    """Return ``reader`` as ``model`` may use it."""
    return VisibleReader(reader) if is_outside(model) else reader


class Scrubber:
    """Takes lines out of what tests printed that tell of restricted files: their paths, and words that only they have.

    A word has five letters or figures at least: shorter ones are in every text. What the conversation has said already
    is known to the model, so a word of it hides nothing.
    """

    def __init__(self, reader: RepositoryReader, model: Model) -> None:
        """Look at the restricted files of ``reader``; for a model of the house there are none."""
        files = RestrictedFiles(reader.read_file(RESTRICTED_FILE) if is_outside(model) else None)
        paths = [path for path in reader.list_files() if files.hides(path)]
        self._paths = tuple(paths)
        self._words = {word for path in paths for word in _WORD.findall(f"{path} {reader.read_file(path) or ''}")}

    def feedback(self, turns: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return a conversation whose last turn, the results of tests, tells nothing of restricted files."""
        if not self._paths or not turns:
            return turns
        said = {word for turn in turns[:-1] for text in _texts(turn) for word in _WORD.findall(text)}
        last = turns[-1]
        if isinstance(last, UserMessage):
            return (*turns[:-1], UserMessage(self._scrub(last.text, said)))
        if isinstance(last, ToolMessage):
            results = (replace(result, content=self._scrub(result.content, said)) for result in last.results)
            return (*turns[:-1], ToolMessage(tuple(results)))
        return turns

    def _scrub(self, text: str, said: set[str]) -> str:
        secret = self._words - said
        return "\n".join(_SCRUBBED if self._tells(line, secret) else line for line in text.split("\n"))

    def _tells(self, line: str, secret: set[str]) -> bool:
        return any(path in line for path in self._paths) or not secret.isdisjoint(_WORD.findall(line))


def _texts(turn: Message) -> list[str]:
    if isinstance(turn, UserMessage):
        return [turn.text]
    if isinstance(turn, ToolMessage):
        return [result.content for result in turn.results]
    return [turn.text, *(call.raw for call in turn.tool_calls)]
