"""What a path says of a file: its language, and whether it is a test."""

from __future__ import annotations

from posixpath import splitext

from devstudio_sandbox.conventions import is_test

__all__ = ["is_source", "is_test", "language_of_path"]

_LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript",
    ".cjs": "javascript", ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
}  # fmt: skip
_SOURCE = frozenset(
    {
        *_LANGUAGES, ".go", ".rs", ".java", ".kt", ".scala", ".rb", ".php", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs",
        ".swift", ".ex", ".exs", ".erl", ".clj", ".hs", ".ml", ".lua", ".pl", ".r", ".jl", ".dart", ".vue", ".svelte",
        ".sql", ".sh", ".proto", ".graphql",
    }
)  # fmt: skip


def language_of_path(path: str) -> str | None:
    """Return the language that there is a grammar for, None for any other text."""
    return _LANGUAGES.get(splitext(path)[1].lower())


def is_source(path: str) -> bool:
    """Tell whether the file is code, as far as its name says."""
    return splitext(path)[1].lower() in _SOURCE
