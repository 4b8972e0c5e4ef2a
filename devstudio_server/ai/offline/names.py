"""The names that generated files use, made from what people wrote without letting any of it break a file."""

from __future__ import annotations

import html
import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from slugify import slugify

LABEL = "Written by DevStudio's offline templates (no AI model)."
"""Stands in every document, file header and summary that the offline provider writes."""

TargetLanguage = Literal["python", "node"]

_MAX_SLUG = 40
_TAKEN_PACKAGES = frozenset({"src", "test", "tests", "pytest", "node_modules"})
# What would end a comment, a docstring, a template text or a Markdown span.
_SOFTENED = str.maketrans({"\\": "/", '"': "'", "`": "'", "<": "‹", ">": "›"})  # noqa: RUF001 - they look alike on purpose


@dataclass(frozen=True)
class Names:
    """What one project is called, in one language. ``extension`` is that of JavaScript modules."""

    project: str
    package: str
    language: TargetLanguage
    extension: str = "js"

    @classmethod
    def of(cls, project_name: str, language: str, extension: str = "js") -> Names:
        """Make the names of a project; a language that is neither Python nor Node gets Python."""
        if language == "node":
            return cls(one_line(project_name), slug(project_name, "-") or "app", "node", extension)
        package = slug(project_name, "_") or "app"
        taken = package in _TAKEN_PACKAGES or package in sys.stdlib_module_names or keyword.iskeyword(package)
        package = f"{package}_app" if taken or package[0].isdigit() else package
        return cls(one_line(project_name), f"app_{package}" if package[0].isdigit() else package, "python")

    @property
    def command(self) -> str:
        """How a person starts the program."""
        return f"python3 -m {self.package}" if self.language == "python" else f"node src/main.{self.extension}"

    def values(self) -> Mapping[str, str]:
        """Return what stands for the placeholders of the templates."""
        python = self.language == "python"
        version = f"`{self.package}.__version__`" if python else f"`version` of `src/version.{self.extension}`"
        return {
            "label": LABEL,
            "title": soften(self.project),
            "title_literal": json.dumps(self.project, ensure_ascii=False),
            "title_html": json.dumps(html.escape(self.project), ensure_ascii=False),
            "package": self.package,
            "distribution": self.package.replace("_", "-"),
            "command": self.command,
            "version_name": version,
            "extension": self.extension,
        }


def slug(text: str, separator: str) -> str:
    """Return lower-case ASCII words of ``text``, at most 40 characters."""
    return slugify(text, separator=separator, max_length=_MAX_SLUG, word_boundary=True)


def one_line(text: str) -> str:
    """Return ``text`` without line breaks, control and invisible characters."""
    shown = "".join(" " if char.isspace() else char for char in text)
    return " ".join("".join(char for char in shown if not unicodedata.category(char).startswith("C")).split())


def soften(text: str) -> str:
    """Return one line that can stand in a comment, a docstring or Markdown without ending it."""
    return re.sub(r"\*(?=/)", "* ", one_line(text).translate(_SOFTENED))
