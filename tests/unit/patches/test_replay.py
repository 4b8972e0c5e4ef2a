"""A patch made and tested again: what comes out the same, and what is said when something does not."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from sqlalchemy import select

from devstudio_server.ai.ports import AssistantMessage, Message, ToolCall, ToolMessage, ToolResult, UserMessage
from devstudio_server.execution.jobs import do_run
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.patches.content import build_content
from devstudio_server.patches.errors import ReplayUnderWay
from devstudio_server.patches.jobs import replay_patch
from devstudio_server.patches.models import Patch
from devstudio_server.patches.recording import files_of, read_back, recorded
from devstudio_server.patches.replay import ReplayService, keep_recordings
from devstudio_server.patches.replay_models import PatchRecording
from devstudio_server.patches.replay_schemas import ReplayRead
from devstudio_server.specs.schemas import SpecSessionRead
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld

WRONG = {**ADDER, "adder.py": "def add(*numbers):\n    return 0\n"}


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


@pytest.fixture
def patch(domain: DomainWorld, session: SpecSessionRead) -> UUID:
    return domain.patch(domain.tasks(session.id)[0].id, dict(ADDER))


def proposal(files: dict[str, str], number: int) -> AssistantMessage:
    changes = [{"path": path, "action": "create", "content": text} for path, text in files.items()]
    raw = json.dumps({"summary": "Add it", "files": changes}, indent=1)
    return AssistantMessage("Here it is.", (ToolCall(f"call-{number}", "propose_changes", json.loads(raw), raw),))


def turns(*files: dict[str, str], broken: bool = False) -> list[Message]:
    """Return a conversation with one proposal after the other; with ``broken``, the first was sent back as such."""
    said: list[Message] = [UserMessage("Write the adder. The secret plan is canary-7.")]
    for number, proposed in enumerate(files):
        said.append(proposal(proposed, number))
        if number < len(files) - 1:
            back = ToolResult(f"call-{number}", "The tests fail.", is_error=broken and number == 0)
            said.append(ToolMessage((back,)))
    return said


def record(domain: DomainWorld, patch_id: UUID, said: list[Message]) -> None:
    with domain.patches() as patches:
        keep_recordings(patches._session, patches.get(patch_id), [*recorded(said, "anthropic/best")])


def start(domain: DomainWorld, patch_id: UUID) -> UUID:
    with domain.unit() as unit:
        return ReplayService(unit, domain.actor, domain.ports).start(patch_id).run_id


def replays(domain: DomainWorld, patch_id: UUID) -> list[ReplayRead]:
    with domain.unit(read_only=True) as unit:
        return ReplayService(unit, domain.actor, domain.ports).list(patch_id).items


def replayed(domain: DomainWorld, patch_id: UUID) -> ReplayRead:
    run_id = start(domain, patch_id)
    for job in (replay_patch, do_run):
        job(domain.job(), {"run_id": str(run_id)})
    return replays(domain, patch_id)[0]


def test_answers_make_the_same_patch_and_the_tests_pass_again(domain: DomainWorld, patch: UUID) -> None:
    record(domain, patch, turns(WRONG, {"adder.py": ADDER["adder.py"]}))
    waiting = start(domain, patch)
    assert (replays(domain, patch)[0].status, replays(domain, patch)[0].mismatches) == (RunStatus.PENDING, [])
    with pytest.raises(ReplayUnderWay, match=str(waiting)):
        start(domain, patch)
    replay_patch(domain.job(), {"run_id": str(waiting)})
    do_run(domain.job(), {"run_id": str(waiting)})
    (read,) = replays(domain, patch)
    assert (read.status, read.model.recorded, read.model.matches) == (RunStatus.SUCCESS, True, True)
    assert "anthropic/best" in read.model.detail
    assert (read.tree.matches, read.digest.matches, read.tests.passed, read.tests.failed) == (True, True, 2, 0)
    assert (read.mismatches, read.current, read.by) == ([], True, domain.actor.name)
    with domain.patches() as patches:
        run = patches.runs.get(waiting)
        assert (RunPlan.from_json(run.plan or {}).offline, run.patch_id, run.tree) == (True, None, read.tree.got)
        assert RunPlan.from_json(run.plan or {}).install is None
        assert patches.get(patch).status == "pending"


def test_a_patch_that_people_made_says_that_no_model_is_recorded(domain: DomainWorld, patch: UUID) -> None:
    read = replayed(domain, patch)
    assert (read.model.recorded, read.model.matches, read.mismatches) == (False, None, [])
    assert read.tests.expected_passed is None


def test_what_was_applied_is_compared_with_the_run_that_tested_it(domain: DomainWorld, patch: UUID) -> None:
    domain.approve(patch)
    domain.do(domain.apply(patch))
    read = replayed(domain, patch)
    assert (read.compared_run_id is not None, read.tests.expected_passed, read.tests.passed) == (True, 2, 2)
    assert read.mismatches == []
    with domain.unit() as unit:
        before = unit.scalars(select(Run).where(Run.id == read.compared_run_id)).one()
        before.artifacts = [{"name": "report.txt", "size": 1, "sha256": "a" * 64, "media_type": "text/plain"}]
        before.tests = [{**test, "outcome": "failed"} for test in before.tests]
    changed = replays(domain, patch)[0]
    assert [(one.path, one.expected, one.got, one.matches) for one in changed.artifacts] == [
        ("report.txt", "a" * 64, None, False)
    ]
    assert len(changed.tests.differing) == 2
    assert len(changed.mismatches) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reply": '[{"id":"1","name":"propose_changes","raw":"{}"}]'}, "its digest is another"),
        ({"reply_sha256": "0" * 64}, "its digest is another"),
        ({"reply": None}, "too long to be kept"),
    ],
)
def test_an_answer_that_was_changed_is_told_loudly(
    domain: DomainWorld, patch: UUID, change: dict[str, str | None], said: str
) -> None:
    record(domain, patch, turns(ADDER))
    with domain.unit() as unit:
        row = unit.scalars(select(PatchRecording)).one()
        for name, value in change.items():
            setattr(row, name, value)
    read = replayed(domain, patch)
    assert (read.model.matches, read.status) == (False, RunStatus.SUCCESS)
    assert said in read.mismatches[0]


def test_an_answer_that_makes_another_patch_is_told(domain: DomainWorld, patch: UUID) -> None:
    record(domain, patch, turns(WRONG))
    read = replayed(domain, patch)
    assert read.model.matches is False
    assert "makes other bytes than the patch had" in read.mismatches[0]


def test_bytes_that_were_changed_in_the_database_are_told(domain: DomainWorld, patch: UUID) -> None:
    with domain.unit() as unit:
        row = unit.scalars(select(Patch).where(Patch.id == patch)).one()
        row.patch_content = row.patch_content.replace("sum(numbers)", "max(numbers)")
    read = replayed(domain, patch)
    assert (read.tree.matches, read.digest.matches, read.status) == (False, False, RunStatus.FAILED)
    assert len(read.mismatches) == 3


def test_a_patch_that_does_not_apply_any_more_ends_the_replay_with_the_reason(domain: DomainWorld, patch: UUID) -> None:
    with domain.unit() as unit:
        unit.scalars(select(Patch).where(Patch.id == patch)).one().patch_content = "nonsense\n"
    read = replayed(domain, patch)
    assert (read.status, read.tree.got, read.tree.matches) == (RunStatus.FAILED, None, False)
    assert read.mismatches[-1].startswith("The run did not pass: ")


def test_after_an_edit_the_model_is_held_to_what_it_made(domain: DomainWorld, patch: UUID) -> None:
    record(domain, patch, turns(ADDER))
    first = replayed(domain, patch)
    with domain.patches() as patches:
        row = patches.get(patch)
        repository = patches.repository(row)
        edited = {**ADDER, "notes.txt": "by hand\n"}
        content = build_content(repository, repository.tree(row.base), edited)
        patches.revise(row, content, "edited")  # type: ignore[arg-type]
    second = replayed(domain, patch)
    assert (second.model.matches, second.revision, second.mismatches) == (True, 2, [])
    assert "it is at revision 2" in second.model.detail
    assert [read.current for read in replays(domain, patch)] == [True, False]
    assert first.revision == 1


def test_only_answers_are_kept_and_only_those_that_were_taken() -> None:
    kept = [*recorded(turns(WRONG, ADDER, broken=True), "m")]
    assert [files_of(read_back(answer)) for answer in kept] == [ADDER]
    assert "canary-7" not in f"{kept}"
    both = [*recorded(turns(WRONG, ADDER), "m")]
    assert [files_of(read_back(answer)) for answer in both] == [WRONG, ADDER]
    assert both[0].request_sha256 != both[1].request_sha256


def test_an_answer_that_is_too_long_is_kept_as_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devstudio_server.patches.recording.MOST_REPLY_BYTES", 100)
    (kept,) = recorded(turns(ADDER), "m")
    assert (kept.reply, len(kept.reply_sha256)) == (None, 64)
