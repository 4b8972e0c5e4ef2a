"""Reads the templates: plain files with ``%%{name}`` where a name goes."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

_SECTION = re.compile(r"^#: (\w+)(?: (.*))?$")


class _Template(string.Template):
    delimiter = "%%"


@dataclass
class TestTemplates:
    """The tests of a skeleton: what they import, what they share, and a body for each criterion.

    ``arguments`` are the fixtures that a body takes.
    """

    __test__ = False  # its name makes pytest think it is a test

    imports: list[str] = field(default_factory=list)
    support: str = ""
    bodies: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)


def fill(name: str, values: Mapping[str, str]) -> str:
    """Return the template ``name`` with ``values`` in it; a placeholder without a value raises ``KeyError``."""
    return _Template(_read(name)).substitute(values)


def criteria(kind: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of the criteria of one kind of skeleton, by name."""
    lines = fill(f"criteria/{kind}.txt", values).splitlines()
    return dict(line.split(": ", 1) for line in lines)


def tests(name: str, values: Mapping[str, str]) -> TestTemplates:
    """Return the tests in the template ``name``."""
    found = TestTemplates()
    section = ""
    for line in fill(name, values).splitlines():
        heading = _SECTION.match(line)
        if heading:
            section = heading.group(1)
            found.arguments[section] = heading.group(2) or ""
        elif section == "imports":
            found.imports.append(line)
        elif section == "support":
            found.support += f"{line}\n"
        else:
            found.bodies[section] = found.bodies.get(section, "") + f"{line}\n"
    return found


@cache
def _read(name: str) -> str:
    return resources.files(__package__).joinpath("skeletons", name).read_text("utf-8")
