"""The conflicts of a session: which are open, what files hold because of them, and when one settles by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devstudio_server.db import Actor
from devstudio_server.kit.clock import now
from devstudio_server.specs.conflict_schemas import ConflictKind, ConflictSource, ConflictStatus
from devstudio_server.specs.markdown import strip_ids
from devstudio_server.specs.merge import Clash, Patch, overlay
from devstudio_server.specs.models import SpecSession, SyncConflict
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.segments import split

SETTLED = "settled"
ANOTHER_PROGRAM = "another program"
_MAX_LABEL = 200

MARKDOWN = frozenset({ConflictSource.MARKDOWN})
NOTEBOOK = frozenset({ConflictSource.NOTEBOOK, ConflictSource.EDITOR})


@dataclass(frozen=True)
class Origin:
    """Where a text came from. ``version`` is that of the session that an editor has; a file has the newest."""

    source: ConflictSource
    who: str = ANOTHER_PROGRAM
    version: int | None = None

    @property
    def group(self) -> frozenset[ConflictSource]:
        """The sources that are one place: what an editor saves stands in the notebook's file."""
        return MARKDOWN if self.source in MARKDOWN else NOTEBOOK


class ConflictBook:
    """The open conflicts of one session within one unit of work."""

    def __init__(self, specs: SpecRepository, actor: Actor, session: SpecSession) -> None:
        """Read those of ``session`` through ``specs``."""
        self._specs = specs
        self._actor = actor
        self._session = session
        self._rows: list[SyncConflict] = sorted(specs.open_conflicts(session.id), key=lambda row: row.updated_at)
        self.changed = False

    @property
    def rows(self) -> Sequence[SyncConflict]:
        """Those that are open, the one that changed last at the end."""
        return [row for row in self._rows if row.status == ConflictStatus.OPEN]

    def seen_by(self, kind: DocumentType, origin: Origin) -> list[SyncConflict]:
        """Return those that stand in what ``origin`` has: an editor knows none that came after it was opened."""
        return [
            row
            for row in self._of(kind, origin.group)
            if origin.version is None
            or row.session_version <= origin.version
            or (row.source == ConflictSource.EDITOR and row.author_id == self._actor.user_id)
        ]

    def _of(self, kind: DocumentType, group: Iterable[str]) -> list[SyncConflict]:
        return [row for row in self.rows if row.document == kind and row.source in group]

    def in_file(self, kind: DocumentType, text: str, group: frozenset[ConflictSource]) -> str | None:
        """Return a document as it stands in a file: with the texts from outside; None when the file stays away."""
        return overlay(kind, text, [Patch(row.block_id, row.theirs, row.behind) for row in self._of(kind, group)])

    def as_base(self, kind: DocumentType, text: str, rows: Iterable[SyncConflict]) -> str:
        """Return ``text`` with the texts that both sides of open conflicts started from."""
        return overlay(kind, text, [Patch(row.block_id, row.base, row.behind) for row in rows]) or ""

    def base_of_file(self, kind: DocumentType, text: str, group: frozenset[ConflictSource]) -> str:
        """Return the base of the next merge of a file that holds ``text`` with its conflicts."""
        return self.as_base(kind, text, self._of(kind, group))

    def record(self, kind: DocumentType, origin: Origin, clashes: Sequence[Clash]) -> None:
        """Note what could not be merged from ``origin``; what is not among it any more has settled."""
        seen = self.seen_by(kind, origin)
        kept: set[int] = set()
        for clash in clashes:
            rows = [row for row in seen if row.block_id == clash.block_id]
            row = next((row for row in rows if same(row.theirs, clash.theirs)), None) or next(
                (row for row in rows if row.source == origin.source and row.author_id == self._actor.user_id), None
            )
            if row is None:
                self._add(kind, origin, clash)
            else:
                kept.add(id(row))
                self._renew(row, clash)
        for row in seen:
            if id(row) not in kept:
                self._settle(row)

    def _add(self, kind: DocumentType, origin: Origin, clash: Clash) -> None:
        row = SyncConflict(session_id=self._session.id, document=kind, block_id=clash.block_id, earlier=[])
        row.label, row.behind = clash.label[:_MAX_LABEL], clash.behind
        row.base, row.ours, row.theirs = clash.base, clash.ours, clash.theirs
        row.kind = ConflictKind.DELETION if clash.theirs is None else ConflictKind.CONFLICT
        row.source, row.who, row.author_id = origin.source, origin.who[:_MAX_LABEL], self._actor.user_id
        row.status, row.session_version, row.updated_at = ConflictStatus.OPEN, self._session.version + 1, now()
        row.version = 1
        self._specs.add_conflict(row)
        self._rows.append(row)
        self.changed = True

    def _renew(self, row: SyncConflict, clash: Clash) -> None:
        if row.ours != clash.ours:
            row.ours = clash.ours
            self._touch(row)
        if row.theirs == clash.theirs:
            return
        if not same(row.theirs, clash.theirs):
            row.earlier = [*row.earlier, row.theirs] if row.theirs is not None else row.earlier
        row.theirs, row.session_version = clash.theirs, self._session.version + 1
        row.kind = ConflictKind.DELETION if clash.theirs is None else ConflictKind.CONFLICT
        self._touch(row)

    def _touch(self, row: SyncConflict) -> None:
        row.version += 1
        row.updated_at = now()
        self.changed = True

    def _settle(self, row: SyncConflict) -> None:
        self.close(row, SETTLED)
        row.resolved_by = None

    def close(self, row: SyncConflict, resolution: str) -> None:
        """Note how a conflict was answered."""
        row.status, row.resolution = ConflictStatus.RESOLVED, resolution
        row.resolved_by, row.resolved_at = self._actor.user_id, now()
        self._touch(row)

    def follow(self, texts: dict[DocumentType, str]) -> None:
        """Bring ``ours`` of open conflicts to what is stored now, and settle those where it became theirs."""
        blocks: dict[str, dict[str, str]] = {}
        for row in self.rows:
            kind = DocumentType(row.document)
            if row.block_id and row.document not in blocks:
                blocks[row.document] = {s.id: s.text.rstrip() for s in split(kind, texts[kind])}
            ours = blocks[row.document].get(row.block_id) if row.block_id else texts[kind]
            if same(ours, row.theirs):
                self._settle(row)
            elif ours != row.ours:
                row.ours = ours
                self._touch(row)


def same(one: str | None, other: str | None) -> bool:
    """Tell whether two texts of a block are the same but for ids and white space at their end."""
    if one is None or other is None:
        return one is other
    return one == other or strip_ids(one).rstrip() == strip_ids(other).rstrip()
