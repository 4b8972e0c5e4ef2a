"""Proposals and gates with real services, a real database and a local model server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any
from uuid import UUID

import pytest

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.ai.schemas import AgentSettingsWrite
from devstudio_server.kit.errors import AppError, PreconditionFailed
from devstudio_server.kit.ids import new_id
from devstudio_server.planning.errors import (
    PromptTooLarge,
    ProposalBlockUnknown,
    ProposalNotFound,
    ProposalNotOpen,
    StageNotApproved,
)
from devstudio_server.planning.fitting import UNKNOWN_WINDOW, fit
from devstudio_server.planning.proposal_schemas import ProposalQuery, ProposalRead, ProposalStatus
from devstudio_server.planning.proposals import ProposalService
from devstudio_server.planning.schemas import PlanMode, PlanRequest, PlanResult, Stage
from devstudio_server.planning.service import PlanningService
from devstudio_server.projects.errors import ProjectArchived
from devstudio_server.projects.schemas import ProjectUpdate, SettableStatus
from devstudio_server.specs.errors import SpecSessionNotFound
from devstudio_server.specs.markdown import parse, strip_ids
from devstudio_server.specs.schemas import DocumentType, SpecSessionRead
from devstudio_server.specs.service import SpecService
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld
from support.model_server import Answer, Call, ModelServer, SeenRequest

KEY = "canary-key"
R, D, T = DocumentType.REQUIREMENTS, DocumentType.DESIGN, DocumentType.TASKS


class Planner:
    """A model that answers from a list, and a person who works with what it proposes."""

    def __init__(self, domain: DomainWorld) -> None:
        self.domain = domain
        self.answers: list[dict[str, str]] = []
        self.seen: list[SeenRequest] = []
        self.events: list[dict[str, Any]] = []
        self.meanwhile: Callable[[], Any] = lambda: None
        self.echo: Callable[[str], dict[str, str]] | None = None

    def think(self, request: SeenRequest) -> Answer:
        self.seen.append(request)
        self.meanwhile()
        written = self.answers.pop(0)
        if self.echo is not None:
            shown = request.turns[0].text.split('name="document requirements">\n')[1].split("\n</data")[0]
            written = self.echo(shown)
        return Answer(calls=[Call("write_documents", written)])

    def plan(self, session_id: UUID, stage: Stage, mode: PlanMode = PlanMode.PROPOSE, **documents: str) -> PlanResult:
        self.answers.append(documents)
        return self.service().plan(PlanRequest(session_id=session_id, stage=stage, mode=mode))

    def service(self) -> PlanningService:
        return PlanningService(self.domain.units, self.domain.actor, self.domain.ports, self.events.append, Event())

    def propose(self, session_id: UUID, stage: Stage, **documents: str) -> ProposalRead:
        proposal = self.plan(session_id, stage, **documents).proposal
        assert proposal is not None
        return proposal

    def with_proposals(self, deed: Callable[[ProposalService], Any]) -> Any:
        with self.domain.unit() as unit:
            specs = SpecService(unit, self.domain.actor, self.domain.git, self.domain.workspaces)
            return deed(ProposalService(unit, self.domain.actor, specs))

    def accept(self, proposal_id: UUID, *blocks: str, expected: int | None = None) -> Any:
        return self.with_proposals(lambda service: service.accept(proposal_id, blocks or None, expected))

    def reject(self, proposal_id: UUID, reason: str) -> ProposalRead:
        return self.with_proposals(lambda service: service.reject(proposal_id, reason, None))

    def read(self, proposal_id: UUID) -> ProposalRead:
        return self.with_proposals(lambda service: service.read(service.get(proposal_id)))

    def criteria(self, session_id: UUID) -> list[str]:
        with self.domain.specs() as specs:
            return [row.key for row in specs.tasks(session_id).criteria]

    def text(self, session_id: UUID, kind: DocumentType = R) -> str:
        return getattr(self.domain.read(session_id).documents, kind.value).content

    def policy(self, project_id: UUID, **policy: Any) -> None:
        with self.domain.unit() as unit:
            settings = AgentSettingsService(unit, self.domain.ports.get(Gateway))
            settings.put(project_id, AgentSettingsWrite(model="openai/gpt-6.1-sol", policy=policy), None)


@pytest.fixture
def planner(domain: DomainWorld) -> Iterator[Planner]:
    made = Planner(domain)
    with ModelServer(made, keys=frozenset({KEY})) as server:
        settings = GatewaySettings(
            openai_api_key=KEY, openai_base_url=server.openai_base_url, openai_models=("gpt-6.1-sol",), retries=0
        )
        gateway = Gateway(settings)
        domain.ports.provide(Gateway, gateway)
        yield made
        gateway.close()


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


BETTER = REQUIREMENTS.replace("add them", "return their sum") + "3. THE SYSTEM SHALL print the sum.\n"


def changes(proposal: ProposalRead) -> dict[str, str]:
    """Return the id of each change by what it is and where."""
    return {f"{block.kind} {block.key}": block.id for block in proposal.blocks if block.kind != "same"}


def test_a_proposal_changes_nothing_before_it_is_accepted(planner: Planner, session: SpecSessionRead) -> None:
    result = planner.plan(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    proposal = result.proposal
    assert proposal is not None
    assert (result.documents, result.tasks, result.version) == (None, None, session.version)
    assert planner.text(session.id) == session.documents.requirements.content
    assert (proposal.status, proposal.stage, proposal.model) == (
        ProposalStatus.OPEN,
        Stage.REQUIREMENTS,
        "openai/gpt-6.1-sol",
    )
    assert {block.key: block.kind for block in proposal.blocks} == {
        "": "same",
        "1": "same",
        "1.1": "changed",
        "1.2": "same",
        "1.3": "added",
    }
    changed = next(block for block in proposal.blocks if block.kind == "changed")
    assert (changed.before, changed.after, changed.accepted) == (
        "1. WHEN two numbers are given THE SYSTEM SHALL add them.",
        "1. WHEN two numbers are given THE SYSTEM SHALL return their sum.",
        None,
    )
    assert proposal.documents[R].base_version == 1
    assert strip_ids(proposal.documents[R].text) == BETTER


def test_all_of_a_proposal_becomes_the_document(planner: Planner, session: SpecSessionRead) -> None:
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    accepted = planner.accept(proposal.id)
    assert accepted.proposal.status is ProposalStatus.ACCEPTED
    assert accepted.proposal.decided_by == planner.domain.actor.user_id
    assert [block.accepted for block in accepted.proposal.blocks] == [None, None, True, None, True]
    assert strip_ids(accepted.session.documents.requirements.content) == BETTER
    assert accepted.session.documents.requirements.content == proposal.documents[R].text
    assert planner.criteria(session.id) == ["1.1", "1.2", "1.3"]


def test_blocks_are_accepted_one_by_one_and_the_rest_is_rejected_with_a_reason(
    planner: Planner, session: SpecSessionRead
) -> None:
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    added = changes(proposal)["added 1.3"]
    accepted = planner.accept(proposal.id, added).proposal
    assert accepted.status is ProposalStatus.OPEN
    text = strip_ids(planner.text(session.id))
    assert text == REQUIREMENTS + "3. THE SYSTEM SHALL print the sum.\n"
    assert planner.accept(proposal.id, added).proposal.status is ProposalStatus.OPEN
    rejected = planner.reject(proposal.id, "adding is clearer")
    assert (rejected.status, rejected.reason) == (ProposalStatus.REJECTED, "adding is clearer")
    assert {block.key: block.accepted for block in rejected.blocks if block.kind != "same"} == {
        "1.1": False,
        "1.3": True,
    }
    assert strip_ids(planner.text(session.id)) == text
    planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    assert "adding is clearer" in planner.seen[-1].turns[0].text
    planner.propose(session.id, Stage.DESIGN, design="# Design\n")
    assert "adding is clearer" not in planner.seen[-1].turns[0].text


def test_the_last_block_decided_closes_the_proposal(planner: Planner, session: SpecSessionRead) -> None:
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    for block_id in changes(proposal).values():
        last = planner.accept(proposal.id, block_id)
    assert last.proposal.status is ProposalStatus.ACCEPTED
    assert strip_ids(last.session.documents.requirements.content) == BETTER


def test_what_a_person_changed_meanwhile_is_shown_and_nothing_is_lost(
    planner: Planner, session: SpecSessionRead
) -> None:
    mine = REQUIREMENTS.replace("add them", "multiply them")
    planner.meanwhile = lambda: planner.domain.write(session.id, requirements=mine)
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    conflict = next(block for block in proposal.blocks if block.key == "1.1")
    assert conflict.conflict
    assert conflict.present == "1. WHEN two numbers are given THE SYSTEM SHALL multiply them."
    after = planner.accept(proposal.id)
    assert after.proposal.status is ProposalStatus.OPEN
    left = [block for block in after.proposal.blocks if block.kind != "same" and block.accepted is None]
    assert [(block.key, block.after, block.present) for block in left] == [
        (
            "1.1",
            "1. WHEN two numbers are given THE SYSTEM SHALL return their sum.",
            "1. WHEN two numbers are given THE SYSTEM SHALL multiply them.",
        )
    ]
    assert strip_ids(planner.text(session.id)) == mine + "3. THE SYSTEM SHALL print the sum.\n"
    planner.domain.write(session.id, requirements=planner.text(session.id).replace("multiply them", "add them"))
    assert planner.accept(proposal.id).proposal.status is ProposalStatus.ACCEPTED
    assert strip_ids(planner.text(session.id)) == BETTER


def test_a_block_that_a_person_removed_is_not_brought_back(planner: Planner, session: SpecSessionRead) -> None:
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    first = next(line for line in planner.text(session.id).split("\n") if "add them" in line)
    planner.domain.write(session.id, requirements=planner.text(session.id).replace(f"{first}\n", ""))
    (block,) = [block for block in planner.read(proposal.id).blocks if block.kind == "changed"]
    assert (block.conflict, block.present) == (True, None)
    planner.accept(proposal.id)
    assert "return their sum" not in planner.text(session.id)


def test_a_newer_proposal_for_the_same_document_supersedes(planner: Planner, session: SpecSessionRead) -> None:
    old = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    other = planner.propose(session.id, Stage.DESIGN, design="# Design\n\n## A\nx\n")
    new = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER + "4. THE SYSTEM SHALL sing.\n")
    statuses = {read.id: planner.read(read.id).status for read in (old, other, new)}
    assert statuses == {
        old.id: ProposalStatus.SUPERSEDED,
        other.id: ProposalStatus.OPEN,
        new.id: ProposalStatus.OPEN,
    }
    for deed in (planner.accept, lambda proposal_id: planner.reject(proposal_id, "late")):
        with pytest.raises(ProposalNotOpen, match="superseded"):
            deed(old.id)
    listed = planner.with_proposals(lambda service: service.list(session.id, ProposalQuery(status=ProposalStatus.OPEN)))
    assert [row.id for row in listed.items] == [new.id, other.id]


def test_a_proposal_of_nothing_new_is_decided(planner: Planner, session: SpecSessionRead) -> None:
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=REQUIREMENTS)
    assert proposal.status is ProposalStatus.ACCEPTED
    with pytest.raises(ProposalNotOpen):
        planner.accept(proposal.id)


def test_several_documents_are_accepted_together(planner: Planner) -> None:
    session = planner.domain.session()
    proposal = planner.propose(
        session.id, Stage.ALL, requirements=REQUIREMENTS, design="# Design\n\n## Overview\nx\n", tasks=TASKS
    )
    read = planner.accept(proposal.id).session
    assert [strip_ids(text) for text in (read.documents.requirements.content, read.documents.tasks.content)] == [
        REQUIREMENTS,
        TASKS,
    ]
    assert [task.criteria for task in planner.domain.tasks(session.id)] == [["1.1", "1.2"], []]


@pytest.mark.parametrize("mode", list(PlanMode))
def test_planning_again_keeps_the_ids_whatever_the_model_does_to_them(
    planner: Planner, session: SpecSessionRead, mode: PlanMode
) -> None:
    before = {block.text: block.id for block in parse(R, session.documents.requirements.content).blocks()}
    one, two = REQUIREMENTS.split("1. WHEN")[1].split("2. IF")
    swapped = REQUIREMENTS.split("1. WHEN", maxsplit=1)[0] + f"1. IF{two}2. WHEN{one}"
    broken = swapped.replace("answer 0.", "answer 0. <!-- id:invented -->").replace(
        "add them.", f"add them exactly. <!-- id:{before['IF no number is given THEN THE SYSTEM SHALL answer 0.']} -->"
    )
    result = planner.plan(session.id, Stage.REQUIREMENTS, mode, requirements=broken)
    if result.proposal is not None:
        planner.accept(result.proposal.id)
    after = {block.text: block.id for block in parse(R, planner.text(session.id)).blocks()}
    assert (
        after["IF no number is given THEN THE SYSTEM SHALL answer 0."]
        == before["IF no number is given THEN THE SYSTEM SHALL answer 0."]
    )
    assert (
        after["WHEN two numbers are given THE SYSTEM SHALL add them exactly."]
        == before["WHEN two numbers are given THE SYSTEM SHALL add them."]
    )
    assert after["Add numbers"] == before["Add numbers"]


def test_a_stale_version_an_unknown_block_and_an_archived_project_are_refused(
    planner: Planner, session: SpecSessionRead
) -> None:
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    with pytest.raises(ProposalBlockUnknown):
        planner.accept(proposal.id, "requirements.nothing")
    same = next(block.id for block in proposal.blocks if block.kind == "same")
    with pytest.raises(ProposalBlockUnknown):
        planner.accept(proposal.id, same)
    with pytest.raises(PreconditionFailed):
        planner.accept(proposal.id, expected=7)
    with planner.domain.projects() as projects:
        projects.update(session.project_id, ProjectUpdate(status=SettableStatus.ARCHIVED), None)
    with pytest.raises(ProjectArchived):
        planner.accept(proposal.id)
    assert planner.read(proposal.id).status is ProposalStatus.OPEN
    assert planner.text(session.id) == session.documents.requirements.content


def test_what_is_not_there_is_named(planner: Planner, session: SpecSessionRead) -> None:
    with pytest.raises(ProposalNotFound):
        planner.read(new_id())
    proposal = planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    with planner.domain.specs() as specs:
        specs.delete(session.id, None)
    with pytest.raises(SpecSessionNotFound):
        planner.read(proposal.id)


def approve(domain: DomainWorld, session_id: UUID, kind: str, version: int = 1) -> SpecSessionRead:
    with domain.specs() as specs:
        return specs.read(specs.approve_document(session_id, kind, version))


def test_an_unapproved_stage_upstream_is_warned_of_or_refused_by_policy(
    planner: Planner, session: SpecSessionRead
) -> None:
    warned = planner.plan(session.id, Stage.DESIGN, design="# Design\n\n## A\nx\n").warnings
    assert [(item.code, item.document) for item in warned] == [("upstream-not-approved", R)]
    planner.policy(session.project_id, require_approved_stages=True)
    asked = len(planner.seen)
    for stage in (Stage.DESIGN, Stage.TASKS, Stage.ALL):
        with pytest.raises(StageNotApproved) as refused:
            planner.plan(session.id, stage)
        assert refused.value.extra["unapproved"]["requirements"] == "draft"
    assert len(planner.seen) == asked
    planner.answers.clear()
    approve(planner.domain, session.id, "requirements")
    assert planner.plan(session.id, Stage.DESIGN, design="# Design\n").warnings == []
    planner.plan(session.id, Stage.REQUIREMENTS, requirements=BETTER)


def test_restricted_parts_are_not_shown_and_stay(planner: Planner) -> None:
    secret = (
        REQUIREMENTS + "\n### Requirement 2: Secret <!-- restricted -->\n#### Acceptance Criteria\n1. Canary SHALL x.\n"
    )
    session = planner.domain.session(requirements=secret)
    result = planner.plan(session.id, Stage.REQUIREMENTS, PlanMode.WRITE, requirements=BETTER)
    assert "Canary" not in str(planner.seen[-1].body)
    assert "Canary SHALL x" in planner.text(session.id)
    assert "return their sum" in planner.text(session.id)
    assert "restricted" in [warning.code for warning in result.warnings]


def test_a_secret_that_the_model_was_not_shown_stays_in_the_text(planner: Planner) -> None:
    """A model writes back what it was shown; the person's text does not lose its secrets by that."""
    key = "AKIA" + "Z7Q3M5N8P2R4T6V9"
    one = f"1. WHEN `{key}` and `{key}` are given THE SYSTEM SHALL refuse them."
    text = f"### Requirement 1: Keys\n#### Acceptance Criteria\n{one}\n2. THE SYSTEM SHALL answer 0.\n"
    session = planner.domain.session(requirements=text)
    before = planner.text(session.id)
    planner.answers.append({})
    planner.echo = lambda shown: {"requirements": shown.replace("answer 0", "answer 1")}
    service = planner.service()
    service.plan(PlanRequest(session_id=session.id, stage=Stage.REQUIREMENTS))
    assert key not in str(planner.seen[-1].body)
    assert "[secret removed" in str(planner.seen[-1].body)
    assert planner.text(session.id) == before.replace("answer 0", "answer 1")


def test_what_does_not_fit_is_cut_with_a_warning_or_refused(planner: Planner, session: SpecSessionRead) -> None:
    model = planner.domain.ports.get(Gateway).resolve(None)
    for window in (8_000, None):
        small = model.model_copy(update={"context_window": window})
        long = "\n".join(f"Line {number} of a long design." for number in range(window or UNKNOWN_WINDOW))
        fitted = fit({R: REQUIREMENTS, D: long, T: ""}, [R], [small], 100)
        (warning,) = fitted.warnings
        assert (warning.code, warning.document, warning.severity) == ("prompt-cut", D, "warning")
        assert fitted.documents[R] == REQUIREMENTS
        assert len(fitted.documents[D]) < len(long) / 2
        assert fitted.documents[D].endswith("more lines were not sent]")
        with pytest.raises(PromptTooLarge) as refused:
            fit({R: REQUIREMENTS, D: long, T: ""}, [D], [small], 100)
        assert refused.value.extra["context_window"] == (window or UNKNOWN_WINDOW)


def test_a_document_of_many_megabytes_costs_no_call(planner: Planner) -> None:
    lines = "A line.\n" * 240_000
    session = planner.domain.session(requirements=lines, design=lines, tasks=lines)
    with pytest.raises(PromptTooLarge):
        planner.plan(session.id, Stage.ALL)
    assert planner.seen == []


def test_deltas_reach_who_waits(planner: Planner, session: SpecSessionRead) -> None:
    planner.propose(session.id, Stage.REQUIREMENTS, requirements=BETTER)
    told = "".join(event["text"] for event in planner.events if event.get("phase") == "delta")
    assert "return their sum" in told


@pytest.mark.parametrize("mode", list(PlanMode))
@pytest.mark.parametrize("broken", ["half \ud800 a letter", "a \x00 in it"])
def test_text_that_nothing_can_store_is_fed_back_and_refused(
    planner: Planner, session: SpecSessionRead, mode: PlanMode, broken: str
) -> None:
    planner.answers.append({"requirements": broken})
    with pytest.raises(AppError) as refused:
        planner.plan(session.id, Stage.REQUIREMENTS, mode, requirements=broken)
    assert refused.value.status == 502
    assert len(planner.seen) == 2
    assert planner.text(session.id) == session.documents.requirements.content
