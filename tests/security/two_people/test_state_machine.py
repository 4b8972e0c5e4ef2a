"""Whatever people do in whatever order, what is applied was approved by enough others."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from devstudio_server.auth import Role, permissions_of
from devstudio_server.auth.models import UserRow
from devstudio_server.db import Actor
from devstudio_server.execution.results import RunResult
from devstudio_server.execution.schemas import RunStage, RunStatus
from devstudio_server.execution.service import RunEnd
from devstudio_server.jobs import JobContext
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.content import PatchContent, build_content
from devstudio_server.patches.jobs import apply_patch, commit_patch
from devstudio_server.patches.models import Patch
from devstudio_server.patches.policy_schemas import PolicyWrite
from devstudio_server.patches.schemas import PatchOrigin, PatchRead, RevisionReason
from devstudio_server.patches.service import Origin
from support.databases import Databases
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.review_model import (
    Given,
    Modelled,
    Rule,
    Someone,
    counted,
    counting,
    had_a_hand,
    mailbox,
    needed,
    one_person,
)

STEPS = {"small": (6, 25), "full": (100, 50)}
"""How many orders are tried, and how long each is."""
CLOCKS = ("review", "review_rules", "envelope")
PEOPLE = (
    ("ana", "ana@example.com", "executor reviewer"),
    ("ana2", "Ana+second@Example.com", "reviewer"),
    ("bob", "bob@example.com", "executor reviewer"),
    ("cleo", "cleo@example.com", "reviewer"),
    ("dan", "dan@example.com", "reviewer"),
    ("dan2", "DAN@example.com", "reviewer"),
    ("root", "root@example.com", "admin_devstudio"),
    ("vic", "", "viewer"),
)
NAMES = st.sampled_from([name for name, _, _ in PEOPLE])
FREE, PROTECTED = "feature", "release"


@dataclass
class Run:
    """One attempt to apply, and how far it came."""

    id: UUID
    patch: UUID
    actor: Actor
    stage: str = "asked"
    named: list[Given] = field(default_factory=list)
    epoch: int = 0


class World:
    """What all orders share: the server's parts, and a few changes that were made once."""

    def __init__(self, domain: DomainWorld) -> None:
        self.domain = domain
        session = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
        self.task_id = domain.tasks(session.id)[0].id
        self.project_id = session.project_id
        self.repository = domain.repository(self.project_id)
        self.base = self.repository.create("main")
        tree = self.repository.tree(self.base)
        self.contents = [self._content(tree, number) for number in range(3)]

    def _content(self, tree: str, number: int) -> PatchContent:
        return build_content(self.repository, tree, {**ADDER, "number.py": f"NUMBER = {number}\n"})


class Reviews(RuleBasedStateMachine):
    """Makes, edits, approves and applies patches of a project, beside the plain rule."""

    world: ClassVar[Any] = None
    patches = Bundle("patches")
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.at = datetime.now(UTC)
        self.stack = ExitStack()
        for name in CLOCKS:
            self.stack.enter_context(mock.patch(f"devstudio_server.patches.{name}.now", self.now))
        world: World = self.world
        self.domain, self.suffix = world.domain, new_id().hex[-12:]
        self.people = {name: Someone(name, email, frozenset(roles.split())) for name, email, roles in PEOPLE}
        self.ids = {name: new_id() for name in self.people}
        with self.domain.unit() as unit:
            for name, person in self.people.items():
                row = UserRow(user_id=self.ids[name], issuer="i", subject=str(self.ids[name]), name=name)
                row.email, row.roles, row.last_seen_at = person.email or None, sorted(person.roles), self.at
                unit.add(row)
        self.branches = {kind: f"{kind}/{self.suffix}" for kind in (FREE, PROTECTED)}
        for branch in self.branches.values():
            world.repository.move_branch(branch, world.base, None)
        self.rule = Rule()
        self.known: dict[UUID, Modelled] = {}
        self.applying: dict[UUID, Run] = {}
        self.say(self.rule)

    def now(self) -> datetime:
        """Return the time, which goes on when a rule says so."""
        return self.at

    def teardown(self) -> None:
        self.stack.close()

    def actor(self, name: str) -> Actor:
        roles = [role for role in Role if role in self.people[name].roles]
        return replace(
            self.domain.actor,
            user_id=self.ids[name],
            name=name,
            sole_user=False,
            roles=frozenset(map(str, roles)),
            permissions=permissions_of(roles),
        )

    def protected(self, patch: Modelled) -> bool:
        return self.rule.protected and patch.branch == self.branches[PROTECTED]

    def approved(self, patch: Modelled) -> bool:
        protected = self.protected(patch)
        return counted(patch, self.rule, protected, self.at) >= needed(self.rule, protected)

    def counting(self, patch: Modelled) -> list[Given]:
        return counting(patch, self.rule, self.protected(patch), self.at)

    def say(self, rule: Rule) -> None:
        """Set the policy of the server as the model has it."""
        payload = PolicyWrite(
            protected_branches=[f"{PROTECTED}/*"] if rule.protected else [],
            required_approvals=rule.required,
            approver_roles=[Role(role) for role in rule.roles],
            approval_hours=rule.hours,
        )
        with self.domain.reviews(self.actor("root")) as reviews:
            project = reviews.patches.specs.projects.get(self.world.project_id)
            rule.version = reviews.set_policy(project, payload, None).version

    # What people do

    @rule(target=patches, name=NAMES, content=st.integers(0, 2), kind=st.sampled_from([FREE, PROTECTED, PROTECTED]))
    def propose(self, name: str, content: int, kind: str) -> UUID:
        made: PatchContent = self.world.contents[content]
        origin = Origin(self.world.base, "Add", [], kind=PatchOrigin.GENERATED, branch=self.branches[kind])
        with self.domain.patches(self.actor(name)) as patches:
            task = patches.specs.get_task(self.world.task_id)
            project = patches.specs.projects.get(self.world.project_id)
            patch_id = patches.create(task, project, made, origin).id
        patch = Modelled(made.digest, self.branches[kind], good_until=self.at + timedelta(hours=self.rule.hours))
        patch.hands.append((self.people[name], mailbox(self.people[name].email)))
        self.known[patch_id] = patch
        return patch_id

    @rule(patch_id=patches, name=NAMES, content=st.integers(0, 2), kind=st.sampled_from(["", FREE, PROTECTED]))
    def edit(self, patch_id: UUID, name: str, content: int, kind: str) -> None:
        """Give a patch other bytes, or the same again, or another branch."""
        patch, made = self.known[patch_id], self.world.contents[content]
        branch = self.branches[kind] if kind else patch.branch
        try:
            with self.domain.patches(self.actor(name)) as patches:
                patches.revise(patches.get(patch_id), made, RevisionReason.EDITED, branch=branch)
        except AppError:
            assert patch.status != "open" or patch_id in self.applying
            return
        patch.digest, patch.branch = made.digest, branch
        patch.revision += 1
        patch.epoch += 1
        patch.good_until = self.at + timedelta(hours=self.rule.hours)
        patch.hands.append((self.people[name], mailbox(self.people[name].email)))

    @rule(patch_id=patches, name=NAMES, stale=st.sampled_from([0, 0, 0, 1, 2]), named=st.booleans())
    def approve(self, patch_id: UUID, name: str, stale: int, *, named: bool) -> None:
        patch, person = self.known[patch_id], self.people[name]
        digest = self.world.contents[stale].digest if stale else patch.digest
        protected, own = self.protected(patch), had_a_hand(person, patch)
        before = counted(patch, self.rule, protected, self.at)
        try:
            with self.domain.reviews(self.actor(name)) as reviews:
                reviews.approve(patch_id, digest, revision=patch.revision if named else None)
        except AppError:
            return
        assert patch.status == "open"
        assert digest == patch.digest
        assert not (own and protected), f"{name} approved what they had a hand in"
        if not before:
            patch.epoch += 1
            patch.good_until = self.at + timedelta(hours=self.rule.hours)
        told = (person, mailbox(person.email), digest, patch.revision, patch.epoch, own)
        patch.given.append(Given(*told, self.rule.version, self.at, self.rule.hours))
        assert counted(patch, self.rule, protected, self.at) == before + 1, "an approval was taken that does not count"

    @rule(patch_id=patches, name=NAMES)
    def withdraw(self, patch_id: UUID, name: str) -> None:
        patch = self.known[patch_id]
        try:
            with self.domain.reviews(self.actor(name)) as reviews:
                reviews.withdraw(patch_id)
        except AppError:
            return
        for given in patch.given:
            given.withdrawn |= given.who is self.people[name]

    @rule(patch_id=patches, name=NAMES)
    def reject(self, patch_id: UUID, name: str) -> None:
        try:
            with self.domain.reviews(self.actor(name)) as reviews:
                reviews.reject(patch_id, "No.")
        except AppError:
            assert self.known[patch_id].status != "open"
            return
        self.known[patch_id].status = "rejected"

    @rule(
        protected=st.sampled_from([True, True, False]),
        required=st.integers(1, 3),
        roles=st.sampled_from([(), (), ("reviewer",), ("admin_devstudio",)]),
        hours=st.sampled_from([1, 24, 168]),
    )
    def set_policy(self, *, protected: bool, required: int, roles: tuple[str, ...], hours: int) -> None:
        rule = Rule(self.rule.version, protected, required, roles, hours)
        self.say(rule)
        self.rule = rule

    @rule(name=NAMES, email=st.sampled_from(["ana@example.com", "bob+x@example.com", "cleo@example.com", "new@a.b"]))
    def take_an_address(self, name: str, email: str) -> None:
        self.people[name].email = email
        self.mirror(name)

    @rule(name=NAMES, roles=st.sampled_from(["viewer", "executor", "reviewer", "executor reviewer"]))
    def change_roles(self, name: str, roles: str) -> None:
        if name != "root":
            self.people[name].roles = frozenset(roles.split())
            self.mirror(name)

    def mirror(self, name: str) -> None:
        """Have the identity provider describe someone anew."""
        with self.domain.unit() as unit:
            row = unit.scalars(select(UserRow).where(UserRow.user_id == self.ids[name])).one()
            row.email, row.roles = self.people[name].email, sorted(self.people[name].roles)

    @rule(hours=st.sampled_from([1, 20, 100]))
    def wait(self, hours: int) -> None:
        self.at += timedelta(hours=hours)

    # What follows when somebody asks to apply, in three steps between which others go on

    @rule(target=runs, patch_id=patches, name=NAMES)
    def ask(self, patch_id: UUID, name: str) -> Any:
        patch = self.known[patch_id]
        may = patch.status == "open" and self.approved(patch)
        if patch_id in self.applying:
            return multiple()
        run_id = None
        with suppress(AppError), self.domain.patches(self.actor(name)) as patches:
            run_id = patches.apply(patch_id, None).run_id
        assert (run_id is not None) == may, "exactly what is approved is taken to be applied"
        if run_id is None:
            return multiple()
        self.applying[patch_id] = Run(run_id, patch_id, self.actor(name))
        return self.applying[patch_id]

    @rule(run=consumes(runs), late=st.booleans())
    def test_it(self, run: Run, *, late: bool) -> None:
        """Prepare the run, and put the end of green tests where a worker does; commit it now or as late as possible."""
        self.job(run, apply_patch)
        with self.domain.patches(run.actor) as patches:
            row = patches.runs.get(run.id)
            if RunStatus(row.status).final:
                assert not self.approved(self.known[run.patch]) or self.known[run.patch].status != "open", row.reason
                del self.applying[run.patch]
                return
            row.result = RunResult(RunEnd(RunStatus.SUCCESS, "", 0)).to_json()
            row.stage, row.started_at = RunStage.TESTED, row.created_at
        patch = self.known[run.patch]
        run.stage, run.epoch, run.named = "tested", patch.epoch, self.counting(patch)
        if not late:
            self.commit(run)

    @rule(patch_id=patches)
    def commit_late(self, patch_id: UUID) -> None:
        run = self.applying.get(patch_id)
        if run is not None and run.stage == "tested":
            self.commit(run)

    def commit(self, run: Run) -> None:
        """Commit what was tested: exactly when enough approvals count then, those that the commit names among them."""
        patch = self.known[run.patch]
        stand = [id(given) for given in self.counting(patch)]
        same = run.epoch == patch.epoch and all(id(given) in stand for given in run.named)
        may = patch.status == "open" and self.approved(patch) and same
        before = self.world.repository.head(patch.branch)
        self.job(run, commit_patch)
        moved = self.world.repository.head(patch.branch) != before
        assert may or not moved, f"applied with too few approvals: {self.shown(run.patch)}"
        if moved:
            patch.status = "applied"
            self.check_people(patch)
            self.world.repository.move_branch(patch.branch, str(before), self.world.repository.head(patch.branch))
        with self.domain.patches() as patches:
            ended = patches.runs.get(run.id)
        assert moved or not may, ended.reason
        assert RunStatus(ended.status).final
        del self.applying[run.patch]

    def check_people(self, patch: Modelled) -> None:
        """What was applied has the approvals that it needed by people who are not each other and had no hand in it."""
        stands = [given for given in patch.given if not given.withdrawn and given.revision == patch.revision]
        assert any(given.digest == patch.digest for given in stands)
        if self.protected(patch):
            others = [given.who for given in stands if not had_a_hand(given.who, patch)]
            groups = {frozenset(map(id, one_person(who, patch))) for who in others}
            assert len(groups) >= self.rule.required

    def job(self, run: Run, work: Callable[[JobContext, dict[str, Any]], None]) -> None:
        actor = Actor(run.actor.tenant_id, run.actor.user_id, run.actor.name)  # as a worker acts for someone
        work(JobContext(actor, self.domain.units, self.domain.ports, 1), {"run_id": str(run.id)})

    def shown(self, patch_id: UUID) -> PatchRead:
        with self.domain.patches(self.actor("vic")) as patches:
            return patches.read(patch_id)

    @invariant()
    def the_server_counts_as_the_plain_rule_does(self) -> None:
        for patch_id, patch in self.known.items():
            if patch.status != "open":
                continue
            shown = self.shown(patch_id)
            protected = self.protected(patch)
            wanted = counted(patch, self.rule, protected, self.at)
            assert (shown.review.counted, shown.review.protected) == (wanted, protected), shown
            assert (shown.status == "approved") == self.approved(patch)
            assert shown.review.required_approvals == (self.rule.required if protected else 0)


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, databases.fresh(Path(folder) / "reviews.db") as database:
        domain = DomainWorld(Path(folder), database)
        yield World(domain)
        domain.close()


@pytest.mark.timeout(3600)
def test_nothing_is_applied_that_too_few_others_approved(world: World, scale: str) -> None:
    Reviews.world = world
    examples, steps = STEPS[scale]
    run_state_machine_as_test(
        Reviews,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_bytes_that_change_under_an_approval_are_not_applied(world: World) -> None:
    """Not even when they are changed in the database itself."""
    Reviews.world = world
    machine = Reviews()
    patch_id: Any = machine.propose("ana", 0, PROTECTED)
    machine.approve(patch_id, "bob", 0, named=True)
    assert machine.shown(patch_id).review.missing == 0
    with machine.domain.unit() as unit:
        unit.scalars(select(Patch).where(Patch.id == patch_id)).one().patch_content += " "
    with pytest.raises(AppError), machine.domain.patches(machine.actor("ana")) as patches:
        patches.apply(patch_id, None)
    machine.teardown()
