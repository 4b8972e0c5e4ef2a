"""Nothing restricted and no secret is in a bundle, whichever way it could come in; and it says what it lacks."""

import json

import pytest

from devstudio_evidence.bundle import unpack
from devstudio_evidence.keys import read
from devstudio_evidence.verify import verify
from devstudio_server.audit.recorder import record_audit
from devstudio_server.db import Units
from devstudio_server.evidence.schemas import BundleQuery
from devstudio_server.evidence.service import BundleService
from devstudio_server.scm.git import Author
from devstudio_server.signing.schemas import SigningKeyList
from devstudio_server.signing.signer import Signer
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.job_drain import JobDrain

CANARY = "heron"
"""A word that only what is restricted has."""
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
PATTERNS = b"price.py\n"


@pytest.fixture
def domain(domain: DomainWorld) -> DomainWorld:
    domain.units = Units(domain.engine, recorders=(record_audit,))
    return domain


def exported(
    domain: DomainWorld, files: dict[str, str], **documents: str
) -> tuple[dict[str, bytes], list[str], list[str]]:
    """Apply a patch, export the session; return members, problems and notes."""
    session = domain.session(**documents)
    repository = domain.repository(session.project_id)
    head = repository.require_head("main")
    tree = repository.change(repository.tree(head), {".devstudio/restricted": PATTERNS})
    start = repository.commit(tree, (head,), "Restrict\n", Author("Ana", "ana@example.org"))
    repository.move_branch("main", start, head)
    patch_id = domain.patch(domain.tasks(session.id)[0].id, dict(files))
    domain.approve(patch_id)
    domain.apply(patch_id)
    JobDrain(domain).all()
    assert domain.tasks(session.id)[0].links, domain.tasks(session.id)[0].status_reason
    content = BundleService(domain.units, domain.actor, domain.ports).export(BundleQuery(session_id=session.id)).content
    keys = SigningKeyList(items=[key.read() for key in domain.ports.get(Signer).public_keys()])
    report = verify(content, read(keys.model_dump_json()))
    problems = [f"{each.member}: {each.said}" for each in report.problems]
    return unpack(content), problems, [f"{each.member}: {each.said}" for each in report.notes]


def test_restricted_texts_and_files_and_secrets_stay(domain: DomainWorld) -> None:
    requirements = REQUIREMENTS.replace("answer 0.", f"answer 0 for a {CANARY}. <!-- restricted -->").replace(
        "so that I can bill.", f"so that I can bill with {TOKEN}."
    )
    tasks = TASKS.replace("Say thanks", f"Feed the {CANARY} <!-- restricted -->")
    files = {**ADDER, "price.py": f"BIRD = '{CANARY}'\n", "config.py": f"KEY = '{TOKEN}'\n"}
    members, problems, notes = exported(domain, files, requirements=requirements, tasks=tasks)
    assert problems == []
    told = [name for name, content in members.items() if CANARY.encode() in content or TOKEN.encode() in content]
    assert told == []
    assert not any(name.endswith("diff.patch") for name in members)
    assert "[restricted part 1-" in members["session/requirements.md"].decode()
    said = "\n".join(notes)
    for wanted in (
        "session/requirements.md#1.2: Left out: The text is restricted",
        "session/requirements.md: The text of 1.2 was left out",
        "diff.patch: Left out: The file price.py is restricted.",
        "diff.patch: The diff was left out",
        "blobs/",
    ):
        assert wanted in said, wanted
    titles = [task["title"] for task in json.loads(members["evidence.json"])["tasks"]]
    assert titles == ["Write the adder", "[not shown]"]


def test_the_title_of_a_restricted_task_is_in_no_commit(domain: DomainWorld) -> None:
    tasks = TASKS.replace("Write the adder", f"Count the {CANARY} <!-- restricted -->")
    members, problems, notes = exported(domain, ADDER, requirements=REQUIREMENTS, tasks=tasks)
    assert problems == []
    assert [name for name, content in members.items() if CANARY.encode() in content] == []
    assert any("commits/" in note and "title of a restricted task" in note for note in notes)
