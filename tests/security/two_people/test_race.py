"""Approvals that race over HTTP, on a real team server: by oneself, another account, the prompter, after an edit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from support.databases import Databases
from support.domain_world import REQUIREMENTS, TASKS
from support.studio import Answer, Api, Studio
from support.team import Team

ROUNDS = {"small": 4, "full": 50}
"""Rounds of `APPROVALS`, each against the bytes of the round and an edit that changes them."""
MAY = "executor reviewer"
PEOPLE = {
    "pam": ("pam@example.com", MAY),
    "pam2": ("Pam+work@Example.com", MAY),
    "ed": ("ed@example.com", MAY),
    "rui": ("rui@example.com", "reviewer"),
    "rui2": ("RUI@example.com", "reviewer"),
    "tia": ("tia@example.com", "reviewer"),
    "root": ("root@example.com", "admin_devstudio"),
    "uma": ("uma@example.com", "reviewer"),
}
APPROVALS = ("pam", "pam", "pam2", "pam2", "ed", "rui", "rui", "rui2", "tia", "tia")
"""Who approves in each round: the prompter, their other account, an editor; and of three that are needed two people."""
HAD_A_HAND = {"pam", "pam2", "ed"}
REFUSED = {409, 503}
"""By the rule, or because others write for longer than the database waits; nothing was saved then."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, team: Team, databases: Databases) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("race")
    with (
        databases.fresh(folder / "devstudio.db") as database,
        team.studio(folder / "data", database.environment()) as studio,
    ):
        yield studio


@dataclass
class Round:
    """What was answered in one round, by who asked."""

    approvals: list[tuple[str, Answer]]
    edit: Answer
    apply: Answer


class Race:
    """A patch that pam prompted and ed edited, of a project that asks for three approvals."""

    def __init__(self, team: Team, server: Studio, stack: ExitStack) -> None:
        tenant = new_id()
        self.apis = {
            name: stack.enter_context(
                Api(server.url, team.token(tenant, user=name, roles=roles.split(), email=email), "Bearer")
            )
            for name, (email, roles) in PEOPLE.items()
        }
        self.ids = {name: api.get("me").expect(200)["user_id"] for name, api in self.apis.items()}
        root, pam = self.apis["root"], self.apis["pam"]
        project = root.project()["id"]
        root.put(f"projects/{project}/review-policy", {"required_approvals": 3}).expect(200)
        session = pam.session(project)["id"]
        documents = {"documents": {"requirements": REQUIREMENTS, "tasks": TASKS}}
        pam.put(f"spec-sessions/{session}", documents).expect(200)
        task = pam.get(f"spec-sessions/{session}/tasks").expect(200)["items"][0]["id"]
        self.patch = pam.post("code/generate", {"task_id": task, "model": "offline"}).expect(201)["patch_id"]
        self.path = f"code/patches/{self.patch}"
        self.edit(0).expect(200)

    def edit(self, number: int) -> Answer:
        """Change the patch; again and again while approvals change it first."""
        for _ in range(50):
            answer = self.apis["ed"].put(self.path, {"files": {"edited.txt": f"{number}\n"}})
            if answer.status not in {412, 503}:
                break
        return answer

    def approve(self, name: str, digest: str) -> tuple[str, Answer]:
        return name, self.apis[name].post(f"{self.path}/approve", {"digest": digest})

    def run(self, pool: ThreadPoolExecutor, number: int, *, edits: bool = True) -> Round:
        digest = self.read()["digest"]
        waiting = [pool.submit(self.approve, name, digest) for name in APPROVALS]
        apply = pool.submit(self.apis["pam"].post, "code/apply", {"patch_id": self.patch})
        edit = pool.submit(self.edit, number) if edits else pool.submit(self.apis["ed"].get, self.path)
        return Round([future.result(300) for future in waiting], edit.result(300), apply.result(300))

    def read(self) -> dict[str, Any]:
        return dict(self.apis["uma"].get(self.path).expect(200))

    def check(self, patch: dict[str, Any]) -> None:
        """What counts is of exactly these bytes, by two people at most, none of whom had a hand in them."""
        counting = [row for row in patch["approvals"] if row["counts"]]
        names = {self.name(row["user_id"]) for row in counting}
        assert not names & HAD_A_HAND
        assert not {"rui", "rui2"} <= names
        assert len(counting) == len(names) == patch["review"]["counted"] <= 2
        assert {(row["digest"], row["revision"]) for row in counting} <= {(patch["digest"], patch["revision"])}
        assert (patch["status"], patch["review"]["required_approvals"]) == ("pending", 3)

    def name(self, user_id: str) -> str:
        return next(name for name, known in self.ids.items() if known == user_id)


@pytest.mark.timeout(3600)
def test_no_racing_approval_gets_past_the_rule(team: Team, server: Studio, scale: str) -> None:
    taken = 0
    with ExitStack() as stack:
        race = Race(team, server, stack)
        pool = stack.enter_context(ThreadPoolExecutor(len(APPROVALS) + 2))
        for number in range(1, ROUNDS[scale] + 1):
            last = number == ROUNDS[scale]
            done = race.run(pool, number, edits=not last)
            assert {answer.status for name, answer in done.approvals if name in HAD_A_HAND} <= REFUSED
            assert {answer.status for _, answer in done.approvals} <= {200, *REFUSED}
            assert done.apply.status in {429, *REFUSED}
            assert done.edit.status == 200, done.edit.body
            for _, answer in done.approvals:
                if answer.status == 200:
                    race.check(answer.body)
                    taken += 1
            race.check(race.read())
        shown = race.read()
        assert shown["review"]["counted"] == 2, "in the last round nobody edited, so two people's approvals count"
        assert taken >= 2
        race.apis["uma"].post(f"{race.path}/approve", {"digest": shown["digest"]}).expect(200)
        assert race.read()["status"] == "approved"
        race.edit(-1).expect(200)
        race.apis["pam"].post("code/apply", {"patch_id": race.patch}).problem(409)
        assert (race.read()["status"], race.read()["review"]["counted"]) == ("pending", 0)
    print(f"\n{len(APPROVALS) * ROUNDS[scale]} racing approvals, {taken} taken, 0 that the rule forbids")
