"""The lint of a session's documents: deterministic, in English and Portuguese, with the exact place of each finding."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping

from devstudio_server.specs.coverage import cover
from devstudio_server.specs.index import findings
from devstudio_server.specs.lint_pairs import compare
from devstudio_server.specs.lint_rules import CODES, Mark, judge, read
from devstudio_server.specs.markdown import Block, parse, strip_ids
from devstudio_server.specs.schemas import DocumentType, LintRead, LintWarning, SpecCoverage


def lint(texts: Mapping[DocumentType, str], proven: Collection[str] = ()) -> LintRead:
    """Return everything that looks wrong in the documents, and how they cover each other.

    ``proven`` are the keys of the criteria with evidence for their present text.
    """
    whole = {kind: texts.get(kind, "") for kind in DocumentType}
    requirements = parse(DocumentType.REQUIREMENTS, whole[DocumentType.REQUIREMENTS])
    tasks = parse(DocumentType.TASKS, whole[DocumentType.TASKS])
    coverage = cover(requirements, tasks, proven)
    blocks = [criterion for requirement in requirements.requirements for criterion in requirement.criteria]
    found = [*structure_warnings(whole, without=("not-ears",)), *_criteria(whole[DocumentType.REQUIREMENTS], blocks)]
    if tasks.tasks:
        found += _uncovered(whole[DocumentType.REQUIREMENTS], requirements.criteria(), coverage)
    order = {kind: position for position, kind in enumerate(DocumentType)}
    found.sort(key=lambda warning: (order[warning.document], warning.line, warning.column, warning.code))
    return LintRead(warnings=found, coverage=coverage)


def structure_warnings(texts: Mapping[DocumentType, str], *, without: Collection[str] = ()) -> list[LintWarning]:
    """Return what is wrong with the shape of the documents and with the references between them."""
    lines = {kind: text.split("\n") for kind, text in texts.items()}
    return [
        LintWarning(
            document=kind,
            line=finding.line,
            column=1,
            end_column=len(_bare(lines[kind][finding.line - 1])) + 1,
            code=finding.code,
            severity=CODES[finding.code].severity,
            key=finding.key,
            message=finding.message,
            suggestion=CODES[finding.code].suggestion,
        )
        for kind, finding in findings(dict(texts))
        if finding.code not in without
    ]


def _criteria(text: str, blocks: list[Block]) -> Iterator[LintWarning]:
    lines = text.split("\n")
    criteria = [(block.label, read(block.text)) for block in blocks]
    marks = [(position, mark) for position, (_key, criterion) in enumerate(criteria) for mark in judge(criterion)]
    places: dict[int, _Place] = {}
    for position, mark in [*marks, *compare(criteria)]:
        place = places.get(position) or places.setdefault(position, _Place(lines, blocks[position]))
        yield place.warning(mark)


def _uncovered(text: str, criteria: Mapping[str, Block], coverage: SpecCoverage) -> Iterator[LintWarning]:
    lines = text.split("\n")
    for key in coverage.criteria_without_task:
        block = criteria[key]
        yield _Place(lines, block).warning(Mark("uncovered-criterion", 0, len(block.text), ""))


class _Place:
    """Finds the places of marks in the document that a criterion was read from."""

    def __init__(self, lines: list[str], block: Block) -> None:
        """Find the lines of ``block`` again, which was read without its number, its id and its white space."""
        self._block = block
        first, *rest = block.text.split("\n")
        # Index of the source line, place of its text in it, and place of that text in the criterion's.
        self._pieces = [(block.line, len(_bare(lines[block.line]).rstrip()) - len(first.rstrip()), 0)]
        index, start = block.line, len(first) + 1
        for piece in rest:
            index += 1
            while _bare(lines[index]).strip() != piece:
                index += 1
            self._pieces.append((index, len(lines[index]) - len(lines[index].lstrip()), start))
            start += len(piece) + 1

    def warning(self, mark: Mark) -> LintWarning:
        """Return the warning for a mark; one that goes over several lines ends with its first."""
        rule = CODES[mark.code]
        index, offset, start = self._pieces[bisect_right(self._pieces, mark.start, key=lambda piece: piece[2]) - 1]
        words = self._block.text[mark.start : mark.end].partition("\n")[0]
        column = offset + mark.start - start + 1
        return LintWarning(
            document=DocumentType.REQUIREMENTS,
            line=index + 1,
            column=column,
            end_column=column + len(words),
            code=mark.code,
            severity=rule.severity,
            key=self._block.label,
            message=rule.message.format(key=self._block.label, word=mark.word),
            suggestion=rule.suggestion,
        )


def _bare(line: str) -> str:
    return strip_ids(line).rstrip("\r")
