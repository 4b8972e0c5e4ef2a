"""The acceptance criteria of a requirements document, and the digests that evidence names them by.

The reading is the server's (`devstudio_server.specs.markdown`), written again because this has to run without it; a
test holds the two together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_MARK_WORD = r"<!--[ \t]*restri(?:cted|to|ta)\b"
_ID = re.compile(
    r"[ \t]?<!--[ \t]*id:([A-Za-z0-9_-]{1,64})[ \t]*-->(?:[ \t]*$|(?=[ \t]*" + _MARK_WORD + r"[^>\n]*-->[ \t]*$))"
)
_MARK = re.compile(r"[ \t]?" + _MARK_WORD + r"(?:[^>\n]*-->)?", re.IGNORECASE)
_ANY_MARK = re.compile(r"<!--\s*restri(?:cted|to|ta)\b", re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}(```+(?=[^`]*$)|~~~+)")
_REQUIREMENT = re.compile(
    r"^#{2,4}[ \t]+(?:Requirement|Requisito)[ \t]+(\d{1,9})(?!\d)[ \t]*[:.\u2013\u2014-]?[ \t]*(.*)$", re.IGNORECASE
)
_CRITERIA = re.compile(
    r"^#{3,6}[ \t]+(?:Acceptance Criteria|Crit[ée]rios de Aceita[çc][ãa]o|Crit[ée]rios de Aceite)\b", re.IGNORECASE
)
_HEADING = re.compile(r"^#{1,6}[ \t]+\S")
_NUMBERED = re.compile(r"^ {0,3}(\d+(?:\.\d+)*)[.)]?[ \t]+(.*)$")


@dataclass
class CriterionText:
    """A criterion as the text states it."""

    key: str
    text: str

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text with its white space folded."""
        return hashlib.sha256(" ".join(self.text.split()).encode("utf-8", "surrogatepass")).hexdigest()


def read(requirements: str) -> dict[str, CriterionText]:
    """Give the criteria by key; of two requirements with the same number, those of the first."""
    sections: list[tuple[str, list[CriterionText]]] = []
    in_criteria = False
    for line in _lines(requirements):
        heading = _REQUIREMENT.match(line)
        if heading:
            sections.append((heading.group(1), []))
            in_criteria = False
        elif _CRITERIA.match(line):
            in_criteria = bool(sections)
        elif _HEADING.match(line):
            in_criteria = False
        elif in_criteria:
            _read_line(*sections[-1], line)
    first: dict[str, list[CriterionText]] = {}
    for label, criteria in sections:
        first.setdefault(label, criteria)
    return {criterion.key: criterion for criteria in first.values() for criterion in criteria}


def _read_line(label: str, criteria: list[CriterionText], line: str) -> None:
    numbered = _NUMBERED.match(line)
    if numbered:
        criteria.append(CriterionText(f"{label}.{len(criteria) + 1}", numbered.group(2).strip()))
    elif criteria and line.strip():
        criteria[-1].text += f"\n{line.strip()}"


def _lines(text: str) -> Iterator[str]:
    """Yield each line outside a fenced block, without its id, its mark and its line end."""
    fence = ""
    for raw in text.split("\n"):
        line = raw.rstrip("\r")
        opening = _FENCE.match(line)
        if fence:
            if opening and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if opening:
            fence = opening.group(1)
            continue
        found = _ID.search(line)
        bare = line[: found.start()] if found else line
        yield _MARK.sub("", bare) if _ANY_MARK.search(bare) else bare
