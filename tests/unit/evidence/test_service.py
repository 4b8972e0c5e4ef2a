"""Real bundles: a task walks to done in a plain process, is exported, and verified."""

import pytest

from devstudio_evidence.keys import Keys, read
from devstudio_evidence.verify import verify
from devstudio_server.audit.recorder import record_audit
from devstudio_server.db import Units
from devstudio_server.evidence.schemas import BundleQuery
from devstudio_server.evidence.service import Bundle, BundleService
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


def test_a_done_task_verifies(domain: DomainWorld, session: SpecSessionRead) -> None:
    applied(domain, session)
    task = domain.tasks(session.id)[0]
    assert task.status == "done", task.status_reason
    report = verify(export(domain, task_id=task.id).content, keys(domain))
    assert [f"{each.member}: {each.said}" for each in report.problems] == []
    assert report.tasks[0]["proven"] == ["1.1", "1.2"]
    assert not [note.said for note in report.notes if "eft out" in note.said]
