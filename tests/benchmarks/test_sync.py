"""Sync of a session with many blocks, beside `git merge-file` of the same three documents."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from uuid import UUID

import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.sync import SessionSync
from support.databases import Database
from support.documents_at_random import ids_of, written
from support.domain_world import DomainWorld

TOP_BLOCKS = 145
BLOCKS = 1000
SHALL = "THE SYSTEM SHALL"


@pytest.fixture
def world(tmp_path: Path, database: Database) -> Iterator[DomainWorld]:
    made = DomainWorld(tmp_path, database)
    yield made
    made.close()


def test_sync_of_a_thousand_blocks(world: DomainWorld, scale: Scale, reporter: Reporter, tmp_path: Path) -> None:
    """One side changed a criterion in the file, the other one in the document; both are there after the sync."""
    random = Random(1)
    texts = {kind: written(kind, random, TOP_BLOCKS) for kind in DocumentType}
    session = world.session(**{kind.value: text for kind, text in texts.items()})
    assert sum(len(ids_of(kind, text)) for kind, text in texts.items()) > BLOCKS
    tree, path = world.tree(session.project_id), f".devstudio/specs/{session.slug}/requirements.md"
    times: dict[str, list[float]] = {"sync": [], "cpu": [], "unchanged": [], "git": []}
    for number in range(scale.runs + 1):
        base = (tree.read(path) or b"").decode()
        theirs = base.replace(SHALL, f"{SHALL} t{number}", 1)
        head, _, tail = base.rpartition(SHALL)
        world.write(session.id, requirements=f"{head}{SHALL} o{number}{tail}")
        tree.write(path, theirs.encode())
        wall, cpu = synced(world, session.id)
        after = world.read(session.id).documents.requirements.content
        assert f"t{number}" in after
        assert f"o{number}" in after
        unchanged, _ = synced(world, session.id)
        merged = merge_file(tmp_path, base, f"{head}{SHALL} o{number}{tail}", theirs)
        if number:  # the first fills caches
            for name, value in (("sync", wall), ("cpu", cpu), ("unchanged", unchanged), ("git", merged)):
                times[name].append(value)
    reporter.add(
        f"sync of a session with {BLOCKS} blocks: files read, merged, stored, tasks derived, files written",
        "`git merge-file` of three such texts, three processes, nothing stored",
        [
            Figure("one file and its document changed", "ms", times["sync"], times["git"]),
            Figure("the same: processor time of ours", "ms", times["cpu"]),
            Figure("nothing changed", "ms", times["unchanged"], times["git"]),
        ],
    )


def synced(world: DomainWorld, session_id: UUID) -> tuple[float, float]:
    begun, worked = perf_counter(), process_time()
    with world.unit() as unit:
        sync = SessionSync(unit, world.actor, world.git, world.workspaces)
        assert not sync.run(sync.specs.get(session_id)).open
    return (perf_counter() - begun) * 1000, (process_time() - worked) * 1000


def merge_file(folder: Path, base: str, ours: str, theirs: str) -> float:
    """Return how long git needs to merge all three documents' worth of text line by line, without anything else."""
    for name, text in (("base", base), ("ours", ours), ("theirs", theirs)):
        (folder / name).write_text(text)
    begun = perf_counter()
    for _ in DocumentType:
        subprocess.run(
            ["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=folder, capture_output=True, check=True
        )
    return (perf_counter() - begun) * 1000
