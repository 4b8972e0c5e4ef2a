"""The documents' format: what a text says, and the permanent ids of its blocks.

The format is `api.md`, "Document format": requirements with numbered EARS criteria, tasks as a check list. A text in
another shape is kept byte for byte; what looks wrong becomes a `Finding`, never a refusal. Ids are HTML comments at the
end of a block's first line, `<!-- id:… -->`; the visible numbers are only labels.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, Self

from devstudio_server.kit.ids import new_block_id
from devstudio_server.kit.restricted import is_marked, without_mark
from devstudio_server.specs.ears import OBLIGATION
from devstudio_server.specs.schemas import DocumentType

BlockKind = Literal["requirement", "criterion", "task", "section"]

# One space before the comment belongs to it; more were the person's own, as Markdown's hard line break.
# A mark that the block is restricted may stand behind it, and stays.
_ID = re.compile(
    r"[ \t]?<!--[ \t]*id:([A-Za-z0-9_-]{1,64})[ \t]*-->"
    r"(?:[ \t]*$|(?=[ \t]*<!--[ \t]*restri(?:cted|to|ta)\b[^>\n]*-->[ \t]*$))"
)
_FENCE = re.compile(r"^ {0,3}(```+(?=[^`]*$)|~~~+)")
_REQUIREMENT = re.compile(
    r"^#{2,4}[ \t]+(?:Requirement|Requisito)[ \t]+(\d{1,9})(?!\d)[ \t]*[:.\u2013\u2014-]?[ \t]*(.*)$", re.IGNORECASE
)
_CRITERIA = re.compile(
    r"^#{3,6}[ \t]+(?:Acceptance Criteria|Crit[ée]rios de Aceita[çc][ãa]o|Crit[ée]rios de Aceite)\b", re.IGNORECASE
)
_HEADING = re.compile(r"^#{1,6}[ \t]+\S")
_SECTION = re.compile(r"^##[ \t]+(.+)$")
_NUMBERED = re.compile(r"^ {0,3}(\d+(?:\.\d+)*)[.)]?[ \t]+(.*)$")
_TASK = re.compile(r"^([ \t]*)[-*][ \t]+\[([ xX-])\](\*?)[ \t]+(?:(\d+(?:\.\d+)*)\.?[ \t]+)?(.*)$")
_REFERENCES = re.compile(r"_(?:Requirements?|Requisitos?):[ \t]*([^_]*)_", re.IGNORECASE)
_REFERENCE = re.compile(r"\d+(?:\.\d+)*")
_REMEMBERED_CHARACTERS = 400_000
"""The same few texts are read again and again; larger ones are not worth the memory."""


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong. ``line`` counts from 1."""

    line: int
    code: str
    message: str
    key: str = ""


@dataclass
class Block:
    """A piece of a document that has a permanent id. ``line`` is the index of its first line, from 0."""

    kind: BlockKind
    label: str
    text: str
    line: int
    id: str | None = None

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the text with its white space folded, so that re-wrapping changes nothing."""
        return hashlib.sha256(" ".join(self.text.split()).encode()).hexdigest()

    def copy(self) -> Self:
        """Return another block that says the same."""
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made


@dataclass
class RequirementBlock(Block):
    """A requirement with its criteria."""

    criteria: list[Block] = field(default_factory=list)


@dataclass
class TaskBlock(Block):
    """A task. ``references`` are as written: `1.2` a criterion, `1` a whole requirement."""

    title: str = ""
    optional: bool = False
    ticked: bool = False
    details: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)


@dataclass
class Parsed:
    """What a document says."""

    requirements: list[RequirementBlock] = field(default_factory=list)
    tasks: list[TaskBlock] = field(default_factory=list)
    sections: list[Block] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def blocks(self) -> Iterator[Block]:
        """Yield every block that has, or should get, an id, in the order of the text."""
        for requirement in self.requirements:
            yield requirement
            yield from requirement.criteria
        yield from self.sections
        yield from self.tasks

    def criteria(self) -> dict[str, Block]:
        """Return the criteria by key; of two requirements with the same number, those of the first."""
        first: dict[str, RequirementBlock] = {}
        for requirement in self.requirements:
            first.setdefault(requirement.label, requirement)
        return {criterion.label: criterion for requirement in first.values() for criterion in requirement.criteria}


def parse(kind: DocumentType, text: str) -> Parsed:
    """Read a document of any shape. The answer is for everybody who asks: nobody may change it."""
    said = text.rstrip("\n")  # a line break more or less at the end says nothing
    return _remembered(kind, said) if len(said) < _REMEMBERED_CHARACTERS else _parse(kind, said)


def own_blocks(kind: DocumentType, text: str) -> list[Block]:
    """Return copies of a document's blocks, to be given ids, in the order of the text."""
    return [block.copy() for block in parse(kind, text).blocks()]


@lru_cache(maxsize=16)
def _remembered(kind: DocumentType, text: str) -> Parsed:
    return _parse(kind, text)


def _parse(kind: DocumentType, text: str) -> Parsed:
    readers = {
        DocumentType.REQUIREMENTS: _read_requirements,
        DocumentType.DESIGN: _read_design,
        DocumentType.TASKS: _read_tasks,
    }
    return readers[kind](text)


def _lines(text: str) -> Iterator[tuple[int, str, str | None]]:
    """Yield index, line without id and line end, and id, for each line outside a fenced block."""
    fence = ""
    for index, raw in enumerate(text.split("\n")):
        line = raw.rstrip("\r")
        opening = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence:
            if opening and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if opening:
            fence = opening.group(1)
            continue
        if "<!--" not in line:
            yield index, line, None
            continue
        found = _ID.search(line)
        bare = line[: found.start()] if found else line
        yield index, without_mark(bare) if is_marked(bare) else bare, found.group(1) if found else None


def _read_requirements(text: str) -> Parsed:
    parsed = Parsed()
    in_criteria = False
    for index, line, block_id in _lines(text):
        heading = _REQUIREMENT.match(line) if line.startswith("#") else None
        if heading:
            label, title = heading.group(1), heading.group(2).strip()
            parsed.requirements.append(RequirementBlock("requirement", label, title, index, block_id))
            in_criteria = False
        elif line.startswith("#") and _CRITERIA.match(line):
            in_criteria = bool(parsed.requirements)
        elif _HEADING.match(line):
            in_criteria = False
        elif in_criteria:
            _read_criterion_line(parsed.requirements[-1], index, line, block_id)
    parsed.findings = list(_check_requirements(parsed, text))
    return parsed


def _read_criterion_line(requirement: RequirementBlock, index: int, line: str, block_id: str | None) -> None:
    numbered = _NUMBERED.match(line)
    if numbered:
        key = f"{requirement.label}.{len(requirement.criteria) + 1}"
        requirement.criteria.append(Block("criterion", key, numbered.group(2).strip(), index, block_id))
    elif requirement.criteria and line.strip():
        criterion = requirement.criteria[-1]
        criterion.text = f"{criterion.text}\n{line.strip()}"


def _check_requirements(parsed: Parsed, text: str) -> Iterator[Finding]:
    if text.strip() and not parsed.requirements:
        message = "No `### Requirement N: …` was found, so no criteria are derived from this text. It is kept as it is."
        yield Finding(1, "unknown-shape", message)
    seen: set[str] = set()
    for requirement in parsed.requirements:
        if requirement.label in seen:
            message = f"Requirement {requirement.label} is there twice; criteria of the second are not counted."
            yield Finding(requirement.line + 1, "duplicate-requirement", message, requirement.label)
        seen.add(requirement.label)
        if not requirement.criteria:
            message = f"Requirement {requirement.label} has no acceptance criteria, so nothing can prove it."
            yield Finding(requirement.line + 1, "no-criteria", message, requirement.label)
        for criterion in requirement.criteria:
            if not OBLIGATION.search(criterion.text):
                message = f"Criterion {criterion.label} is not in EARS form: it says no SHALL (DEVE)."
                yield Finding(criterion.line + 1, "not-ears", message, criterion.label)


def _read_design(text: str) -> Parsed:
    parsed = Parsed()
    for index, line, block_id in _lines(text):
        heading = _SECTION.match(line)
        if heading:
            title = heading.group(1).strip()
            parsed.sections.append(Block("section", title, title, index, block_id))
    return parsed


def _read_tasks(text: str) -> Parsed:
    parsed = Parsed()
    labels = _TaskLabels()
    indent = 0
    for index, line, block_id in _lines(text):
        item = _TASK.match(line)
        if item:
            indent = len(item.group(1))
            parsed.tasks.append(_task(item, index, block_id, labels))
        elif parsed.tasks and line.strip():
            if len(line) - len(line.lstrip()) > indent:
                _read_detail(parsed.tasks[-1], line)
            elif _HEADING.match(line):
                indent = 10_000  # text after a heading belongs to no task
    parsed.findings = list(_check_tasks(parsed, text))
    return parsed


@dataclass
class _TaskLabels:
    """Counts tasks, so that one without a number goes on from the task above it."""

    top: int = 0
    parent: str = ""
    below: int = 0

    def label(self, written: str | None, *, nested: bool) -> str:
        counted = f"{self.parent}.{self.below + 1}" if nested and self.parent else str(self.top + 1)
        label = written or counted
        if "." not in label:
            self.top, self.parent, self.below = self.top + 1, label, 0
        elif label.startswith(f"{self.parent}."):
            self.below += 1
        return label


def _task(item: re.Match[str], index: int, block_id: str | None, labels: _TaskLabels) -> TaskBlock:
    label = labels.label(item.group(4), nested=bool(item.group(1)))
    title = item.group(5).strip()
    optional, ticked = bool(item.group(3)), item.group(2) in "xX"
    return TaskBlock("task", label, title, index, block_id, title=title, optional=optional, ticked=ticked)


def _read_detail(task: TaskBlock, line: str) -> None:
    for references in _REFERENCES.findall(line):
        task.references = list(dict.fromkeys([*task.references, *_REFERENCE.findall(references)]))
    if not _REFERENCES.search(line):
        task.details.append(line.strip().removeprefix("- ").strip())


def _check_tasks(parsed: Parsed, text: str) -> Iterator[Finding]:
    if text.strip() and not parsed.tasks:
        yield Finding(
            1, "unknown-shape", "No `- [ ] 1. …` was found, so no tasks are derived. The text is kept as it is."
        )
    seen: set[str] = set()
    parents = {task.label.rsplit(".", 1)[0] for task in parsed.tasks if "." in task.label}
    for task in parsed.tasks:
        if task.label in seen:
            yield Finding(task.line + 1, "duplicate-task", f"Task {task.label} is there twice.", task.label)
        seen.add(task.label)
        if task.ticked:
            message = (
                f"Task {task.label} is ticked by hand. Its status is derived from test runs; the tick changes nothing."
            )
            yield Finding(task.line + 1, "ticked", message, task.label)
        if not task.references and task.label not in parents:
            message = f"Task {task.label} names no criteria (`_Requirements: 1.1_`), so no run can prove it done."
            yield Finding(task.line + 1, "no-references", message, task.label)


def expand_references(task: TaskBlock, criteria: dict[str, Block]) -> tuple[list[str], list[Finding]]:
    """Return the keys of the criteria that ``task`` names, and a finding for each that does not exist.

    What does not exist is among the keys: nothing proves it, so the task is not done before the reference is mended.
    """
    keys: list[str] = []
    findings: list[Finding] = []
    for reference in task.references:
        matches = [reference] if "." in reference else [key for key in criteria if key.split(".")[0] == reference]
        if not matches or (reference not in criteria and "." in reference):
            message = f"Task {task.label} names {reference}, which the requirements do not have."
            findings.append(Finding(task.line + 1, "unknown-reference", message, task.label))
        keys += matches or [reference]
    return list(dict.fromkeys(keys)), findings


def strip_ids(text: str) -> str:
    """Return ``text`` without the id comments."""
    if "<!--" not in text:
        return text
    return "\n".join([_without_id(line) for line in text.split("\n")])


def _without_id(line: str) -> str:
    if "<!--" not in line:
        return line
    end = "\r" if line.endswith("\r") else ""
    return _ID.sub("", line.removesuffix("\r")) + end


def assign_ids(kind: DocumentType, text: str, before: str = "") -> str:
    """Return ``text`` with an id on every block. Everything else stays byte for byte.

    A block without an id takes that of the block of ``before`` with the same text, or else with the same label, so that
    an editor that drops the comments loses nothing. A doubled id stays with the first block that has it.
    """
    blocks = own_blocks(kind, text)
    taken = _keep_first(blocks)
    missing = [block for block in blocks if block.id is None]
    if not missing:
        return text
    old = [block for block in parse(kind, before).blocks() if block.id and block.id not in taken]
    for likeness in (_text_of, _label_of):
        old = _reuse(missing, old, likeness)
    lines = text.split("\n")
    for block in missing:
        lines[block.line] = with_id(lines[block.line], block.id or new_block_id())
    return "\n".join(lines)


def _keep_first(blocks: list[Block]) -> set[str]:
    taken: set[str] = set()
    for block in blocks:
        if block.id in taken:
            block.id = None
        elif block.id:
            taken.add(block.id)
    return taken


def _text_of(block: Block) -> str:
    return f"{block.kind} {block.sha256}"


def _label_of(block: Block) -> str:
    return f"{block.kind} {block.label}"


def _reuse(missing: list[Block], old: list[Block], likeness: Callable[[Block], str]) -> list[Block]:
    """Give each block without an id that of the first block of ``old`` that is like it; return the rest of ``old``."""
    waiting: dict[str, deque[Block]] = {}
    for block in old:
        waiting.setdefault(likeness(block), deque()).append(block)
    for block in missing:
        if block.id is None and (alike := waiting.get(likeness(block))):
            block.id = alike.popleft().id
    left = {block.id for alike in waiting.values() for block in alike}
    return [block for block in old if block.id in left]


def with_id(line: str, block_id: str) -> str:
    """Return a block's first line with its id at the end."""
    bare = _without_id(line)
    end = "\r" if bare.endswith("\r") else ""
    return f"{bare.removesuffix(chr(13))} <!-- id:{block_id} -->{end}"
