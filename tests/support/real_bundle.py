"""A real bundle: two people, a strict proof, and the bytes as they were exported."""

from __future__ import annotations

from devstudio_evidence.keys import Keys, read
from devstudio_server.audit.recorder import record_audit
from devstudio_server.db import Units
from devstudio_server.evidence.schemas import BundleQuery
from devstudio_server.evidence.service import BundleService
from devstudio_server.patches.policy_schemas import PolicyWrite
from devstudio_server.signing.schemas import SigningKeyList
from devstudio_server.signing.signer import Signer
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.job_drain import JobDrain


class RealBundle:
    """A bundle, and the keys that it is to be verified with."""

    def __init__(self, world: DomainWorld) -> None:
        world.units = Units(world.engine, recorders=(record_audit,))
        session = world.session(requirements=REQUIREMENTS, tasks=TASKS)
        task_id = world.tasks(session.id)[0].id
        bob = world.other_user(roles=frozenset({"reviewer"}))
        with world.reviews() as reviews:
            project = reviews.patches.specs.projects.get(session.project_id)
            reviews.policies.put(project, PolicyWrite(required_approvals=1, strict_proof=True), None)
        patch_id = world.patch(task_id, dict(ADDER))
        with world.reviews(bob) as reviews:
            reviews.approve(patch_id, reviews.patches.preview(patch_id).digest)
        world.apply(patch_id)
        JobDrain(world).all()
        task = world.tasks(session.id)[0]
        assert task.status == "done", task.status_reason
        self.task_id = task_id
        self.content = BundleService(world.units, world.actor, world.ports).export(BundleQuery(task_id=task_id)).content
        shown = [key.read() for key in world.ports.get(Signer).public_keys()]
        self.keys_text = SigningKeyList(items=shown).model_dump_json()
        self.keys: Keys = read(self.keys_text)
