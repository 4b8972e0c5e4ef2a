"""Sync of a session: files edited, broken, ticked and deleted by other programs, and the answers of a person."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from devstudio_server.kit.errors import PreconditionFailed
from devstudio_server.kit.ids import new_id
from devstudio_server.specs.conflict_schemas import ConflictChoice, ConflictRead, ResolveConflict, ResolveResult
from devstudio_server.specs.markdown import parse, strip_ids
from devstudio_server.specs.models import Criterion
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType, SpecSessionRead
from devstudio_server.specs.service import SpecService
from devstudio_server.specs.sync import (
    AnswerUnfit,
    ConflictAnswered,
    ConflictNotFound,
    ConflictService,
    SessionSync,
    SyncResult,
    conflict_read,
)
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld

R, D, T = DocumentType.REQUIREMENTS, DocumentType.DESIGN, DocumentType.TASKS


class Disk:
    """A session's files, as another program sees them."""

    def __init__(self, domain: DomainWorld) -> None:
        self.domain = domain
        self.session = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
        self.tree = domain.tree(self.session.project_id)

    def path(self, kind: DocumentType) -> str:
        return f".devstudio/specs/{self.session.slug}/{kind.value}.md"

    def read(self, kind: DocumentType) -> str:
        content = self.tree.read(self.path(kind))
        assert content is not None
        return content.decode()

    def write(self, kind: DocumentType, content: bytes) -> None:
        self.tree.write(self.path(kind), content)

    def edit(self, kind: DocumentType, old: str, new: str) -> None:
        assert old in self.read(kind)
        self.write(kind, self.read(kind).replace(old, new).encode())

    def sync(self) -> SyncResult:
        with self.domain.unit() as unit:
            sync = SessionSync(unit, self.domain.actor, self.domain.git, self.domain.workspaces)
            result = sync.run(sync.specs.get(self.session.id))
            sync.read(result)
            return result

    def conflict(self) -> ConflictRead:
        (row,) = self.sync().open
        return conflict_read(row)

    def resolve(
        self, conflict_id: UUID, choice: str, *, text: str | None = None, expected: int | None = None
    ) -> ResolveResult:
        answer = ResolveConflict(choice=ConflictChoice(choice), text=text)
        with self.domain.unit() as unit:
            specs = SpecService(unit, self.domain.actor, self.domain.git, self.domain.workspaces)
            return ConflictService(unit, self.domain.actor, specs).resolve(conflict_id, answer, expected)

    def now(self) -> SpecSessionRead:
        return self.domain.read(self.session.id)

    def text(self, kind: DocumentType) -> str:
        return str(getattr(self.now().documents, kind.value).content)


@pytest.fixture
def disk(domain: DomainWorld) -> Disk:
    return Disk(domain)


def both_changed(disk: Disk) -> ConflictRead:
    disk.edit(T, "Say thanks", "Say hello")
    disk.domain.write(disk.session.id, tasks=disk.session.documents.tasks.content.replace("Say thanks", "Say please"))
    return disk.conflict()


def test_an_edit_of_a_file_is_taken_in_and_the_notebook_follows(disk: Disk) -> None:
    disk.edit(R, "answer 0", "answer zero")
    result = disk.sync()
    assert ([*result.changed], [*result.open], [*result.kept]) == ([R], [], [])
    assert "answer zero" in disk.text(R)
    assert disk.text(R) == disk.read(R)
    notebook = disk.tree.read(f".devstudio/specs/{disk.session.slug}/{disk.session.slug}.ipynb") or b""
    assert b"answer zero" in notebook
    version = disk.now().version
    assert not disk.sync().changed
    assert disk.now().version == version


def test_different_blocks_merge_and_the_same_one_waits_with_both_texts(disk: Disk) -> None:
    disk.edit(T, "plain functions", "pure functions")
    conflict = both_changed(disk)
    assert (conflict.label, conflict.source, conflict.who) == ("Task 2: Say please", "markdown", "another program")
    assert (conflict.base, conflict.ours, conflict.theirs) == (
        "- [ ] 2. Say thanks", "- [ ] 2. Say please", "- [ ] 2. Say hello"
    )  # fmt: skip
    assert "pure functions" in disk.text(T)
    assert "Say please" in disk.text(T)
    assert "Say hello" in disk.read(T), "the file keeps its own until somebody decides"
    disk.domain.write(disk.session.id, design="# More\n")
    assert "Say hello" in disk.read(T)
    assert disk.conflict().version == conflict.version, "the same text is the same conflict"


@pytest.mark.parametrize(
    ("choice", "text", "there", "gone"),
    [
        ("ours", None, ["Say please"], ["Say hello"]),
        ("theirs", None, ["Say hello"], ["Say please"]),
        ("both", None, ["Say please", "Say hello"], []),
        ("text", "- [ ] 2. Say all of it", ["Say all of it"], ["Say please", "Say hello"]),
    ],
)
def test_a_person_decides(disk: Disk, choice: str, text: str | None, there: list[str], gone: list[str]) -> None:
    conflict = both_changed(disk)
    before = {task.key: task.id for task in disk.domain.tasks(disk.session.id)}
    answered = disk.resolve(conflict.id, choice, text=text, expected=conflict.version)
    assert (answered.conflict.status, answered.conflict.resolution) == ("resolved", choice)
    for content in (disk.text(T), disk.read(T)):
        assert [part in content for part in (*there, *gone)] == [True] * len(there) + [False] * len(gone)
    assert {task.id for task in disk.domain.tasks(disk.session.id)} >= {*before.values()}, "the task stays the same one"
    result = disk.sync()
    assert ([*result.open], [*result.changed]) == ([], [])
    with pytest.raises(ConflictAnswered):
        disk.resolve(conflict.id, "ours")


def test_answers_that_do_not_fit_are_refused(disk: Disk) -> None:
    conflict = both_changed(disk)
    for choice, text in (("delete", None), ("restore", None), ("text", None), ("ours", "x")):
        with pytest.raises(AnswerUnfit):
            disk.resolve(conflict.id, choice, text=text)
    with pytest.raises(ConflictNotFound):
        disk.resolve(new_id(), "ours")
    disk.domain.write(disk.session.id, tasks=disk.text(T).replace("Say please", "Say sorry"))
    with pytest.raises(PreconditionFailed):
        disk.resolve(conflict.id, "theirs", expected=conflict.version)


@pytest.mark.parametrize("side", ["file", "document"])
def test_a_conflict_settles_when_one_side_is_made_like_the_other(disk: Disk, side: str) -> None:
    both_changed(disk)
    if side == "file":
        disk.edit(T, "Say hello", "Say please")
    else:
        disk.domain.write(disk.session.id, tasks=disk.text(T).replace("Say please", "Say hello"))
    assert not disk.sync().open
    assert disk.text(T) == disk.read(T)


def test_later_texts_of_the_file_take_the_place_of_earlier_ones_which_stay_in_the_conflict(disk: Disk) -> None:
    first = both_changed(disk)
    disk.edit(T, "Say hello", "Say good bye")
    (row,) = disk.sync().open
    assert (row.id, conflict_read(row).theirs) == (first.id, "- [ ] 2. Say good bye")
    assert [strip_ids(text) for text in row.earlier] == ["- [ ] 2. Say hello"]


def test_a_tick_goes_back_and_says_nothing(disk: Disk) -> None:
    disk.edit(T, "- [ ] 1. Write the adder", "- [x] 1. Write the adder fast")
    result = disk.sync()
    assert not result.open
    assert "- [ ] 1. Write the adder fast" in disk.read(T)
    assert disk.text(T) == disk.read(T)
    assert {task.status for task in disk.domain.tasks(disk.session.id)} == {"todo"}


@pytest.mark.parametrize("change", ["crlf", "bom", "no ids", "trailing"])
def test_how_a_program_writes_a_file_is_no_edit(disk: Disk, change: str) -> None:
    text = disk.read(R)
    forms = {"crlf": text.replace("\n", "\r\n"), "bom": "\ufeff" + text, "no ids": strip_ids(text), "trailing": text}
    disk.write(R, forms[change].encode())
    result = disk.sync()
    assert ([*result.changed], [*result.open], [*result.kept]) == ([], [], [])
    assert disk.read(R) == disk.text(R) == text


@pytest.mark.parametrize(
    "content", [b"\xff\xfe no text", b"a\0b", b"x" * 5_000_000], ids=["not utf-8", "nul", "too large"]
)
def test_what_cannot_be_read_is_put_aside_and_told(disk: Disk, content: bytes) -> None:
    disk.write(T, content)
    result = disk.sync()
    (kept,) = result.kept
    assert disk.tree.read(kept) == content
    assert disk.read(T) == disk.text(T)
    assert not disk.sync().kept


@pytest.mark.parametrize("choice", ["restore", "delete"])
def test_a_deleted_file_asks(disk: Disk, choice: str) -> None:
    disk.tree.remove(disk.path(T))
    (deletion,) = disk.sync().deletions
    assert (deletion.block_id, deletion.theirs) == ("", None)
    assert "Say thanks" in disk.text(T)
    assert disk.sync().deletions[0].id == deletion.id
    assert disk.tree.read(disk.path(T)) is None, "it stays away until somebody answers"
    disk.resolve(deletion.id, choice)
    assert ("Say thanks" in disk.text(T)) == ("Say thanks" in disk.read(T)) == (choice == "restore")
    assert not disk.sync().open


def test_an_emptied_file_and_a_block_removed_there_and_changed_here_ask(disk: Disk) -> None:
    disk.write(R, b"")
    (conflict,) = disk.sync().conflicts
    assert (conflict.block_id, conflict.theirs) == ("", "")
    disk.resolve(conflict.id, "ours")
    lines = [line for line in disk.read(T).split("\n") if "Say thanks" not in line]
    disk.domain.write(disk.session.id, design="# x\n")
    disk.write(T, "\n".join(lines).encode())
    disk.domain.write(disk.session.id, tasks=disk.text(T).replace("Say thanks", "Say many thanks"))
    (deletion,) = disk.sync().deletions
    assert "Say many thanks" in disk.text(T)
    assert "Say" not in disk.read(T)
    disk.resolve(deletion.id, "delete")
    assert "Say" not in disk.text(T)


def test_a_program_that_did_not_see_the_last_change_takes_nothing_back(disk: Disk) -> None:
    opened = disk.read(R)
    disk.domain.write(disk.session.id, requirements=opened.replace("add them", "sum them up"))
    disk.write(R, opened.replace("answer 0", "answer zero").encode())
    assert not disk.sync().open
    assert "sum them up" in disk.text(R)
    assert "answer zero" in disk.text(R)


def test_a_file_that_was_not_written_after_the_last_change_is_no_edit(disk: Disk) -> None:
    opened = disk.read(R)
    disk.domain.write(disk.session.id, requirements=opened.replace("add them", "sum them up"))
    disk.write(R, opened.encode())  # as if the disk had been full
    assert not disk.sync().changed
    assert "sum them up" in disk.read(R)


def test_a_copied_or_forged_id_never_carries_evidence_to_another_text(disk: Disk) -> None:
    other = disk.domain.session(disk.domain.project("Other"), "Second", requirements=REQUIREMENTS)
    blocks = {block.label: block.id for block in parse(R, disk.text(R)).blocks()}
    foreign = next(block.id for block in parse(R, other.documents.requirements.content).blocks())
    digests = {row.block_id: row.sha256 for row in criteria(disk)}
    lines = disk.read(R).rstrip("\n").split("\n")
    lines += [f"3. WHEN it rains THE SYSTEM SHALL wait. <!-- id:{blocks['1.1']} -->"]
    lines += [f"4. WHEN it snows THE SYSTEM SHALL stop. <!-- id:{foreign} -->"]
    disk.write(R, "\n".join(lines).encode())
    assert not disk.sync().open
    after = {row.block_id: row.sha256 for row in criteria(disk)}
    assert after.items() >= digests.items(), "the text that was proven keeps its id"
    assert len(after) == len(digests) + 2
    assert foreign not in after


def criteria(disk: Disk) -> Sequence[Criterion]:
    with disk.domain.unit() as unit:
        return SpecRepository(unit).criteria(disk.session.id)
