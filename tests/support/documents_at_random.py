"""Documents made at random, and what people and programs do to them. Every block has words of its own."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from devstudio_server.specs.markdown import assign_ids, parse, strip_ids, with_id
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.segments import PREAMBLE, Segment, join, split


def word(random: Random) -> str:
    return "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(8))


def words(random: Random, count: int = 6) -> str:
    return " ".join(word(random) for _ in range(count))


def block(kind: DocumentType, number: int, random: Random) -> str:
    """Return a new top block of a document."""
    if kind is DocumentType.DESIGN:
        return f"## {words(random, 2)}\n{words(random)}\n\n{words(random)}"
    if kind is DocumentType.TASKS:
        below = "".join(f"\n  - [ ] {number}.{place} {words(random)}" for place in range(1, random.randint(1, 4)))
        return f"- [ ] {number}. {words(random)}\n  - {words(random)}\n  - _Requirements: 1.1_{below}"
    criteria = "\n".join(
        f"{place}. WHEN {words(random)} THE SYSTEM SHALL {words(random)}" for place in range(1, random.randint(2, 5))
    )
    story = f"**User Story:** {words(random)}\n\n{words(random)}"
    return f"### Requirement {number}: {words(random, 3)}\n{story}\n\n#### Acceptance Criteria\n{criteria}\n"


def written(kind: DocumentType, random: Random, blocks: int | None = None) -> str:
    """Return a document with ids."""
    count = random.randint(1, 5) if blocks is None else blocks
    parts = [f"# {kind.value}\n\n{words(random)}\n", *(block(kind, n, random) for n in range(1, count + 1))]
    return assign_ids(kind, "\n".join(parts) + random.choice(["", "\n"]))


def _reword(segments: list[Segment], place: int, random: Random, tag: str) -> None:
    lines = segments[place].text.split("\n")
    at = random.randrange(len(lines))
    bare = strip_ids(lines[at])
    changed = f"{bare} {tag}{word(random)}"
    ids = lines[at][len(bare) :] if lines[at].startswith(bare) else ""
    lines[at] = changed + ids if bare else lines[at]
    segments[place] = _with(segments[place], "\n".join(lines))


def _add_line(segments: list[Segment], place: int, random: Random, tag: str) -> None:
    lines = segments[place].text.split("\n")
    lines.insert(random.randrange(1, len(lines) + 1), f"    {tag}{words(random)}")
    segments[place] = _with(segments[place], "\n".join(lines))


def _remove(segments: list[Segment], place: int, _random: Random, _tag: str) -> None:
    if len(segments) > 1:
        segments.pop(place)


def _move(segments: list[Segment], place: int, random: Random, _tag: str) -> None:
    moved = segments.pop(place)
    segments.insert(random.randrange(len(segments) + 1), moved)


def _with(segment: Segment, text: str) -> Segment:
    return Segment(segment.id, segment.kind, segment.label, segment.title, text, segment.parent)


_EDITS: tuple[Callable[[list[Segment], int, Random, str], None], ...] = (_reword, _reword, _add_line, _remove, _move)


def edited(kind: DocumentType, text: str, random: Random, tag: str) -> str:
    """Return ``text`` after some edits of one side, whose words begin with ``tag``."""
    segments = split(kind, text)
    for _ in range(random.randint(0, 4)):
        movable = [place for place, segment in enumerate(segments) if segment.id != PREAMBLE or random.random() < 0.2]
        if movable:
            random.choice(_EDITS)(segments, random.choice(movable), random, tag)
        if random.random() < 0.25:
            new = Segment("", "", "", "", f"{block(kind, random.randint(1, 9), random)} {tag}{word(random)}")
            segments.insert(random.randrange(len(segments) + 1), new)
        if random.random() < 0.05:
            segments.insert(random.randrange(len(segments) + 1), Segment("", "", "", "", f"```\n{tag}{word(random)}"))
    return join(segments)


def mangled(text: str, random: Random) -> str:
    """Return ``text`` with ids as programs leave them: as they are, lost, doubled, shuffled, or forged."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if "<!-- id:" in line]
    ids = [lines[place].rpartition("id:")[2].removesuffix(" -->") for place in places]
    match random.choice(["as they are", "lost", "some lost", "doubled", "shuffled", "forged"]):
        case "lost":
            return strip_ids(text)
        case "some lost":
            ids = [name if random.random() < 0.5 else "" for name in ids]
        case "doubled" if ids:
            ids = [random.choice(ids) for _ in ids]
        case "shuffled":
            random.shuffle(ids)
        case "forged":
            ids = [word(random) if random.random() < 0.5 else name for name in ids]
        case _:
            return text
    for place, name in zip(places, ids, strict=True):
        lines[place] = with_id(lines[place], name) if name else strip_ids(lines[place])
    return "\n".join(lines)


def ids_of(kind: DocumentType, text: str) -> list[str | None]:
    """Return the ids of a document's blocks, in their order."""
    return [found.id for found in sorted(parse(kind, text).blocks(), key=lambda found: found.line)]
