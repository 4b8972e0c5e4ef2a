"""Reviews over HTTP, by a team: whose approvals count, what voids them, and the policy that asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from support.databases import Databases
from support.domain_world import REQUIREMENTS, TASKS
from support.studio import Api, Studio
from support.team import Team

PEOPLE = {
    "ana": ("ana@example.com", "admin_devstudio"),
    "eva": ("eva@example.com", "executor reviewer"),
    "eva2": ("Eva+review@EXAMPLE.com", "reviewer"),
    "rui": ("rui@example.com", "reviewer"),
    "tia": ("tia@example.com", "reviewer"),
    "vera": ("vera@example.com", "viewer"),
}

SENSELESS: list[dict[str, Any]] = [
    {"required_approvals": 0},
    {"required_approvals": 11},
    {"required_approvals": -1},
    {"protected_branches": ["a b"]},
    {"protected_branches": [""]},
    {"protected_branches": ["../main"]},
    {"protected_branches": ["ma[in"]},
    {"protected_branches": ["x" * 101]},
    {"protected_branches": "main"},
    {"approver_roles": ["viewer"]},
    {"approver_roles": ["king"]},
    {"approver_users": ["rui"]},
    {"approval_hours": 0},
    {"strict": True},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, team: Team, databases: Databases) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("review")
    with (
        databases.fresh(folder / "devstudio.db") as database,
        team.studio(folder / "data", database.environment()) as studio,
    ):
        yield studio


@dataclass
class Office:
    """A tenant with a project, a patch that eva prompted, and everybody's API."""

    apis: dict[str, Api]
    project: str
    task: str
    patch: str
    made: list[str] = field(default_factory=list)

    def do(self, name: str, deed: str, body: Any = None) -> Any:
        return self.apis[name].post(f"code/patches/{self.patch}/{deed}", {} if body is None else body)

    def approve(self, name: str, **more: Any) -> Any:
        return self.do(name, "approve", {"digest": self.read()["digest"], **more})

    def read(self, name: str = "vera") -> dict[str, Any]:
        return dict(self.apis[name].get(f"code/patches/{self.patch}").expect(200))

    def set_policy(self, **values: Any) -> dict[str, Any]:
        return dict(self.apis["ana"].put(self.policy, values).expect(200))

    def apply(self) -> Any:
        return self.apis["eva"].post("code/apply", {"patch_id": self.patch})

    @property
    def policy(self) -> str:
        return f"projects/{self.project}/review-policy"


@pytest.fixture
def office(team: Team, server: Studio) -> Iterator[Office]:
    tenant = new_id()
    with ExitStack() as stack:
        apis = {
            name: stack.enter_context(
                Api(server.url, team.token(tenant, user=name, roles=roles.split(), email=email), "Bearer")
            )
            for name, (email, roles) in PEOPLE.items()
        }
        eva = apis["eva"]
        project = eva.project()["id"]
        session = eva.session(project)["id"]
        documents = {"documents": {"requirements": REQUIREMENTS, "tasks": TASKS}}
        eva.put(f"spec-sessions/{session}", documents).expect(200)
        task = eva.get(f"spec-sessions/{session}/tasks").expect(200)["items"][0]["id"]
        patch = eva.post("code/generate", {"task_id": task, "model": "offline"}).expect(201)["patch_id"]
        yield Office(apis, project, task, patch)


def test_each_reads_whether_their_approval_would_count_and_why_not(office: Office) -> None:
    assert [(row["user_name"], row["roles"]) for row in office.read()["contributors"]] == [
        ("Eva", ["author", "prompter"])
    ]
    reviews = {name: office.read(name)["review"] for name in PEOPLE}
    assert {name for name, review in reviews.items() if review["may_approve"]} == {"ana", "rui", "tia"}
    assert reviews["rui"] == {
        "required_approvals": 1, "counted": 0, "missing": 1, "protected": True, "may_approve": True, "why_not": None,
    }  # fmt: skip
    assert reviews["eva"]["why_not"] == "You made and prompted this patch, so someone else has to approve it."
    assert "Eva, whose e-mail address is yours, made and prompted this patch" in reviews["eva2"]["why_not"]
    assert "code:approve" in reviews["vera"]["why_not"]
    assert "someone else has to approve it" in office.approve("eva").problem(409)["detail"]
    assert "whose e-mail address is yours" in office.approve("eva2").problem(409)["detail"]
    assert office.approve("vera").problem(403)["permission"] == "code:approve"
    assert "email" not in str(office.read()).replace("e-mail", "")


def test_two_approvals_are_two_people_who_had_no_hand_in_it(office: Office) -> None:
    office.set_policy(required_approvals=2)
    first = office.approve("rui").expect(200)
    assert (first["status"], first["review"]["counted"], first["review"]["missing"]) == ("pending", 1, 1)
    assert "You approved these bytes already" in office.approve("rui").problem(409)["detail"]
    assert "1 of 2 approvals count" in office.apply().problem(409)["detail"]
    second = office.approve("tia").expect(200)
    assert (second["status"], [row["counts"] for row in second["approvals"]]) == ("approved", [True, True])


def test_an_edit_voids_approvals_and_makes_an_editor_who_does_not_count(office: Office) -> None:
    old = office.approve("rui").expect(200)
    assert old["status"] == "approved"
    edited = office.apis["eva"].put(f"code/patches/{office.patch}", {"files": {"more.txt": "more\n"}}).expect(200)
    assert (edited["status"], edited["approvals"][0]["void_reason"]) == ("pending", "The patch was changed after it.")
    assert "editor" in edited["contributors"][0]["roles"]
    office.apply().problem(409)
    assert "not this patch's" in office.do("rui", "approve", {"digest": old["digest"]}).problem(409)["detail"]
    assert "revision 2" in office.approve("rui", revision=1).problem(409)["detail"]
    assert office.approve("rui", revision=2).expect(200)["status"] == "approved"


def test_an_approval_is_withdrawn_by_who_gave_it(office: Office) -> None:
    office.approve("rui").expect(200)
    assert "no approval of yours" in office.do("tia", "withdraw").problem(409)["detail"]
    office.do("vera", "withdraw").problem(403)
    pending = office.do("rui", "withdraw").expect(200)
    assert (pending["status"], pending["approvals"][0]["void_reason"]) == ("pending", "It was withdrawn.")
    office.apply().problem(409)
    assert office.approve("rui").expect(200)["status"] == "approved"


def test_an_approved_patch_is_rejected_with_a_reason_and_stays_so(office: Office) -> None:
    office.approve("rui").expect(200)
    office.do("tia", "reject", {"reason": " \n "}).problem(422)
    office.do("tia", "reject", {}).problem(422)
    rejected = office.do("tia", "reject", {"reason": "It prints."}).expect(200)
    tia = office.apis["tia"].get("me").expect(200)["user_id"]
    assert (rejected["status"], rejected["rejected_by"], rejected["rejected_reason"]) == ("rejected", tia, "It prints.")
    assert "rejected" in office.apply().problem(409)["detail"]
    for deed, body in (("approve", {"digest": rejected["digest"]}), ("withdraw", None), ("reject", {"reason": "x"})):
        office.do("rui", deed, body).problem(409)


def test_only_administrators_set_the_policy_and_stale_versions_are_refused(office: Office) -> None:
    ana = office.apis["ana"]
    default = office.apis["vera"].get(office.policy).expect(200)
    assert (default["protected_branches"], default["required_approvals"], default["version"]) == (["main"], 1, 0)
    for name in ("eva", "rui", "vera"):
        assert office.apis[name].put(office.policy, {}).problem(403)["permission"] == "policy:update"
    values = {"protected_branches": ["main", "release/*"], "required_approvals": 2, "approver_roles": ["reviewer"]}
    put = ana.put(office.policy, values, version=0).expect(200)
    assert (put["version"], put["protected_branches"], put["approval_hours"]) == (1, ["main", "release/*"], 168)
    assert ana.put(office.policy, {}, version=0).problem(412)["current_version"] == 1
    entries = ana.get("audit", resource_id=str(put["project_id"]), limit=200).expect(200)["items"]
    policies = ana.get("audit", limit=200).expect(200)["items"]
    assert entries
    assert "review_policy" in str([entry["action"] for entry in policies])


def test_policies_that_make_no_sense_are_refused(office: Office) -> None:
    for values in SENSELESS:
        assert office.apis["ana"].put(office.policy, values).problem(422)["errors"]
    assert office.apis["ana"].get(office.policy).expect(200)["version"] == 0


def test_a_policy_holds_at_once_for_what_is_approved_already(office: Office) -> None:
    assert office.approve("rui").expect(200)["status"] == "approved"
    office.set_policy(required_approvals=2)
    assert office.read()["status"] == "pending"
    office.apply().problem(409)
    office.set_policy(required_approvals=1)
    assert office.read()["status"] == "approved"
    office.set_policy(approver_roles=["admin_devstudio"])
    shown = office.read()
    assert (shown["status"], shown["approvals"][0]["void_reason"]) == (
        "pending",
        "The project's policy counts only the role admin_devstudio.",
    )
    assert "counts only approvals of the role admin_devstudio" in office.approve("tia").problem(409)["detail"]


def test_lowering_the_policy_makes_no_approval_of_ones_own_count(office: Office) -> None:
    office.set_policy(protected_branches=[])
    own = office.approve("eva").expect(200)
    assert (own["status"], own["approvals"][0]["self_reviewed"]) == ("approved", True)
    assert own["review"]["required_approvals"] == 0
    office.set_policy(protected_branches=["*"])
    assert office.read()["status"] == "pending"
    office.apply().problem(409)
    office.set_policy(protected_branches=[])
    shown = office.read()
    assert (shown["status"], shown["approvals"][0]["counts"]) == ("pending", False)
    assert "policy was changed after" in shown["approvals"][0]["void_reason"]
    office.apply().problem(409)


def test_an_approver_who_lost_the_role_does_not_count(team: Team, server: Studio, office: Office) -> None:
    office.set_policy(approver_roles=["reviewer"])
    office.approve("rui").expect(200)
    tenant = office.apis["rui"].get("me").expect(200)["tenant_id"]
    with Api(server.url, team.token(tenant, user="rui", roles=["viewer"], email="rui@example.com"), "Bearer") as later:
        later.get("me").expect(200)
    assert (office.read()["status"], office.read()["review"]["counted"]) == ("pending", 0)
    office.apply().problem(409)
