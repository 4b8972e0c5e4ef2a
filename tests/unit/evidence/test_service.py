"""Real bundles: a task walks to done in a plain process, is exported, and verified."""

import json

import pytest
from sqlalchemy import select

from devstudio_evidence.bundle import unpack
from devstudio_evidence.keys import Keys, read
from devstudio_evidence.verify import verify
from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.recorder import record_audit
from devstudio_server.db import Units
from devstudio_server.evidence import segment
from devstudio_server.evidence.errors import BundleTooLarge
from devstudio_server.evidence.schemas import BundleQuery
from devstudio_server.evidence.service import Bundle, BundleService
from devstudio_server.kit.errors import NotFound
from devstudio_server.kit.ids import new_id
from devstudio_server.signing.schemas import SigningKeyList
from devstudio_server.signing.signer import Signer
from devstudio_server.specs.schemas import SpecSessionRead
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld


@pytest.fixture
def domain(domain: DomainWorld) -> DomainWorld:
    domain.units = Units(domain.engine, recorders=(record_audit,))
    return domain


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


def applied(domain: DomainWorld, session: SpecSessionRead) -> None:
    patch_id = domain.patch(domain.tasks(session.id)[0].id, dict(ADDER))
    domain.approve(patch_id)
    domain.do(domain.apply(patch_id))


def export(domain: DomainWorld, **query: object) -> Bundle:
    return BundleService(domain.units, domain.actor, domain.ports).export(BundleQuery(**query))


def keys(domain: DomainWorld) -> Keys:
    shown = SigningKeyList(items=[key.read() for key in domain.ports.get(Signer).public_keys()])
    return read(shown.model_dump_json())


def test_a_done_task_verifies(domain: DomainWorld, session: SpecSessionRead, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = domain.session(domain.project("Elsewhere"), "Of others")
    applied(domain, session)
    task = domain.tasks(session.id)[0]
    assert task.status == "done", task.status_reason
    report = verify(export(domain, task_id=task.id).content, keys(domain))
    assert [f"{each.member}: {each.said}" for each in report.problems] == []
    assert report.tasks[0]["proven"] == ["1.1", "1.2"]
    assert not [note.said for note in report.notes if "eft out" in note.said]
    check_audit(domain, session, str(elsewhere.id))
    monkeypatch.setattr(segment, "MOST_ENTRIES", 5)
    with pytest.raises(BundleTooLarge, match="more than 5 entries"):
        export(domain, session_id=session.id)


def check_audit(domain: DomainWorld, session: SpecSessionRead, elsewhere: str) -> None:
    """What is about the session is told in full; that there was something else in between, only that."""
    members = unpack(export(domain, session_id=session.id).content)
    entries = [json.loads(line) for line in members["audit/segment.jsonl"].splitlines()]
    full = [entry["action"] for entry in entries if "action" in entry]
    assert full[0] == "spec_session.created"
    assert {"patch.created", "approval.created", "run.created", "evidence.created"} <= set(full)
    assert any("action" not in entry for entry in entries)
    assert "action" in entries[-1]
    assert not [name for name, content in members.items() if elsewhere.encode() in content]
    noted = domain_audit(domain)
    assert noted.action == "data_export"
    assert noted.resource_id == str(session.id)


def domain_audit(domain: DomainWorld) -> AuditEntry:
    with domain.unit(read_only=True) as unit:
        return unit.scalars(select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(1)).one()


def test_what_is_not_there_has_no_bundle(domain: DomainWorld) -> None:
    for query in ({"task_id": new_id()}, {"session_id": new_id()}):
        with pytest.raises(NotFound):
            export(domain, **query)
