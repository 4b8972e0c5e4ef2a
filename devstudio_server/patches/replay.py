"""Replay to approve: a reviewer has a patch made and tested again, and sees what did not come out the same.

It refuses nothing by itself: it says loudly what differs, and the reviewer decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor
from devstudio_server.execution.models import Run
from devstudio_server.execution.schemas import RunStatus, RunType, TestOutcome
from devstudio_server.patches.errors import ReplayUnderWay
from devstudio_server.patches.models import Patch
from devstudio_server.patches.recording import RecordedAnswer
from devstudio_server.patches.replay_models import PatchRecording, PatchReplay
from devstudio_server.patches.replay_repository import ReplayRepository
from devstudio_server.patches.replay_schemas import (
    ArtifactCompared,
    Compared,
    ModelReplay,
    ReplayList,
    ReplayRead,
    ReplayStarted,
    TestsCompared,
)
from devstudio_server.patches.service import PatchService
from devstudio_server.web import Ports

REPLAY_JOB = "patches.replay"
"""The job that makes a patch again from what was recorded, and settles what is tested."""
MOST = 50
"""How many replays, and how many tests that differ, are shown."""
_PENDING = {"recorded": False, "matches": None, "detail": "The replay has not come to it yet."}


class ReplayService:
    """Starts and shows replays."""

    def __init__(self, session: Session, actor: Actor, ports: Ports) -> None:
        """Work in ``session`` for ``actor``."""
        self.session = session
        self._actor = actor
        self._rows = ReplayRepository(session)
        self.patches = PatchService(session, actor, ports)

    def start(self, patch_id: UUID) -> ReplayStarted:
        """Queue the run that makes and tests a patch again; raises `ReplayUnderWay`."""
        patch = self.patches.get(patch_id)
        self.patches.specs.projects.get_writable(patch.project_id)
        newest = self._rows.replays(patch.id, 1)
        if newest and not RunStatus(self.patches.runs.get(newest[0].run_id).status).final:
            raise ReplayUnderWay(f"The run {newest[0].run_id} replays this patch now. Wait for it, or cancel it.")
        run = self.patches.runs.enqueue(
            REPLAY_JOB, RunType.TEST, patch.project_id, task_id=patch.task_id, ref=patch.branch
        )
        replay = PatchReplay(patch_id=patch.id, revision=patch.revision, digest=patch.digest, run_id=run.id)
        replay.compared_run_id = self._tested_by(patch)
        replay.user_id, replay.user_name = self._actor.user_id, self._actor.name
        self._rows.add(replay)
        return ReplayStarted(run_id=run.id)

    def list(self, patch_id: UUID) -> ReplayList:
        """Return the replays of a patch, newest first."""
        patch = self.patches.get(patch_id)
        return ReplayList(items=[self._read(patch, replay) for replay in self._rows.replays(patch.id, MOST)])

    def of_run(self, run_id: UUID) -> PatchReplay:
        """Return the replay that a run does."""
        replay = self._rows.of_run(run_id)
        if replay is None:
            raise LookupError(run_id)
        return replay

    def answers(self, patch: Patch) -> Sequence[RecordedAnswer]:
        """Return what models answered for a patch."""
        return [
            RecordedAnswer(row.model, row.request_sha256, row.reply_sha256, row.reply)
            for row in self._rows.recordings(patch.id)
        ]

    def _tested_by(self, patch: Patch) -> UUID | None:
        """Return the newest run that tested exactly the tree of the patch."""
        ids = [UUID(done["run_id"]) for done in patch.rounds if done.get("run_id")]
        ids += [patch.run_id] if patch.run_id else []
        runs = [self.patches.runs.get(run_id) for run_id in ids]
        tested = [run.id for run in runs if run.tree == patch.result_tree and run.tests]
        return tested[-1] if tested else None

    def _read(self, patch: Patch, replay: PatchReplay) -> ReplayRead:
        run = self.patches.runs.get(replay.run_id)
        before = None if replay.compared_run_id is None else self.patches.runs.get(replay.compared_run_id)
        result = replay.result
        read = ReplayRead(
            id=replay.id,
            run_id=run.id,
            compared_run_id=replay.compared_run_id,
            revision=replay.revision,
            current=(replay.revision, replay.digest) == (patch.revision, patch.digest),
            status=RunStatus(run.status),
            reason=run.reason,
            model=ModelReplay.model_validate(result.get("model", _PENDING)),
            tree=_compared(result.get("tree")),
            digest=_compared(result.get("digest")),
            artifacts=_artifacts(before, run),
            tests=_tests(before, run),
            mismatches=[],
            by=replay.user_name,
            by_id=replay.user_id,
            at=replay.created_at,
        )
        read.mismatches = _mismatches(read) if read.status.final else []
        return read


def keep_recordings(session: Session, patch: Patch, answers: Sequence[RecordedAnswer]) -> None:
    """Store what a model answered beside the patch that was made of it."""
    rows = [
        PatchRecording(
            patch_id=patch.id,
            number=number,
            model=answer.model,
            request_sha256=answer.request_sha256,
            reply_sha256=answer.reply_sha256,
            reply=answer.reply,
        )
        for number, answer in enumerate(answers, start=1)
    ]
    ReplayRepository(session).add(*rows)


def compared(expected: str | None, got: str | None) -> dict[str, Any]:
    """Return the comparison of two digests, as a replay keeps it."""
    return {"expected": expected, "got": got, "matches": None if expected is None else expected == got}


def _compared(kept: dict[str, Any] | None) -> Compared:
    return Compared.model_validate(kept or compared(None, None))


def _artifacts(before: Run | None, run: Run) -> list[ArtifactCompared]:
    if before is None or not RunStatus(run.status).final:
        return []
    expected, got = ({one["name"]: one["sha256"] for one in each.artifacts} for each in (before, run))
    return [
        ArtifactCompared(
            path=path, expected=expected.get(path), got=got.get(path), matches=expected.get(path) == got.get(path)
        )
        for path in sorted(expected.keys() | got.keys())
    ]


def _tests(before: Run | None, run: Run) -> TestsCompared:
    earlier, now = (_outcomes(each) for each in (before, run))
    differing = sorted(name for name in earlier.keys() | now.keys() if earlier.get(name) != now.get(name))
    passed = sum(outcome == "passed" for outcome in now.values())
    return TestsCompared(
        expected_passed=None if before is None else sum(outcome == "passed" for outcome in earlier.values()),
        passed=passed,
        failed=sum(outcome in {"failed", "error"} for outcome in now.values()),
        differing=differing[:MOST] if before is not None and RunStatus(run.status).final else [],
    )


def _outcomes(run: Run | None) -> dict[str, str]:
    tests = [] if run is None else [TestOutcome.model_validate(test) for test in run.tests]
    return {test.id or test.name: test.outcome for test in tests}


def _mismatches(read: ReplayRead) -> list[str]:
    """Say everything that did not come out the same."""
    said = [] if read.model.matches is not False else [read.model.detail]
    if read.tree.matches is False:
        said.append(f"The patch makes the tree {read.tree.got or 'none'} now, and made {read.tree.expected} then.")
    if read.digest.matches is False:
        said.append("The bytes of the patch are not those of its digest.")
    said += [f"The artifact {one.path} is another than before." for one in read.artifacts if not one.matches]
    said += [f"The test {name} ended otherwise than before." for name in read.tests.differing]
    if read.status is not RunStatus.SUCCESS:
        said.append(f"The run did not pass: {read.reason}")
    return said
