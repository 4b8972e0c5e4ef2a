"""Files that tell how code is written here: configuration of tools, style, the beginning of what people read first."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import basename

from devstudio_server.planning.context.index import TreeView

_CONFIGURATION = (
    "pyproject.toml", "package.json", ".editorconfig", "ruff.toml", ".ruff.toml", "setup.cfg", "tox.ini", "pytest.ini",
    "mypy.ini", ".flake8", "tsconfig.json", "eslint.config.js", "eslint.config.mjs", ".eslintrc.json", ".prettierrc",
    "biome.json", "vitest.config.ts", "go.mod", "Cargo.toml", "Makefile",
)  # fmt: skip
_READ_FIRST = ("CONTRIBUTING.md", "STYLE.md", "README.md", "README.rst", "README")
_READ_FIRST_LINES = 40


def conventions(view: TreeView) -> Iterator[tuple[str, str]]:
    """Yield the path of each such file at the root, and why it is shown."""
    for name in _CONFIGURATION:
        if name in view.paths:
            yield name, "configuration of the project"
    for name in _READ_FIRST:
        if name in view.paths:
            yield name, "what people read first here"


def shown_of(path: str, text: str) -> str:
    """Return what of such a file is shown: configuration as it is, of prose the beginning."""
    if basename(path) in _READ_FIRST:
        return "\n".join(text.split("\n")[:_READ_FIRST_LINES])
    return text
