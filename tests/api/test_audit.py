"""The audit over HTTP: every operation that changes something leaves an entry and an event, and only admins read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from devstudio_server.operations import all_operations
from support.domain_world import REQUIREMENTS, TASKS
from support.fix_bench import propose
from support.model_server import ModelServer, ScriptBrain
from support.studio import Answer, Api, Studio
from support.team import Team

CHANGES_NOTHING = {"optimize_context", "preview_patch"}
"""Operations that are POST for the size of what they are asked, and only read."""
MODEL = "gpt-6.1-sol"
Send = Callable[..., Answer]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, team: Team) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("audit") / "data"
    with ModelServer(ScriptBrain([propose({"notes.txt": "better"})])) as model:
        environment = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": model.openai_base_url}
        with team.studio(folder, environment | {"DEVSTUDIO_OPENAI_MODELS": MODEL}) as studio:
            yield studio


class Deeds:
    """Does every operation that changes something once, each under a request id of its own."""

    def __init__(self, team: Team, server: Studio) -> None:
        self.tenant, self.url = new_id(), server.url
        self.admin = team.api(server.url, self.tenant, user="ana")
        self.other = team.api(server.url, self.tenant, user="rui")
        self.leaver = team.api(server.url, self.tenant, user="lea")
        self.answers: dict[str, Answer] = {}

    def close(self) -> None:
        for api in (self.admin, self.other, self.leaver):
            api.close()

    def do(self, operation: str, method: str, path: str, body: Any = None, *, by: Api | None = None) -> Any:
        headers = {"X-Request-ID": f"audit-{operation}"}
        options = {} if body is None else {"json": body}
        answer = (by or self.admin).send(method, path, headers=headers, **options)
        assert answer.status < 300, (operation, answer.body)
        self.answers[operation] = answer
        return answer.body

    def specify(self) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
        fields = {"name": "P", "description": "", "type": "api", "template": "python"}
        project = self.do("create_project", "POST", "projects", fields)
        self.do("update_project", "PUT", f"projects/{project['id']}", {"name": "Q"})
        made = {"project_id": project["id"], "title": "S", "description": ""}
        session = self.do("create_spec_session", "POST", "spec-sessions", made)
        documents = {"documents": {"requirements": REQUIREMENTS, "tasks": TASKS}}
        self.do("update_spec_session", "PUT", f"spec-sessions/{session['id']}", documents)
        self.sync(session)
        tasks = self.admin.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"]
        self.do("update_task", "PUT", f"tasks/{tasks[0]['id']}", {"priority": "high"})
        self.do("put_agent_settings", "PUT", f"projects/{project['id']}/agent-settings", {"model": "offline"})
        self.do("put_review_policy", "PUT", f"projects/{project['id']}/review-policy", {"required_approvals": 1})
        for operation, path in (
            ("put_budget", "budgets"),
            ("put_project_budget", f"projects/{project['id']}/budget"),
            ("put_task_budget", f"tasks/{tasks[0]['id']}/budget"),
        ):
            self.do(operation, "PUT", path, {"limit": 5})
        self.do("generate_text", "POST", "ai/generate", {"prompt": "Say hello.", "model": "offline"})
        self.do("plan", "POST", "plan", {"session_id": session["id"], "stage": "design", "model": "offline"})
        return project, session, tasks

    def sync(self, session: dict[str, Any]) -> None:
        home, folder = f"spec-sessions/{session['id']}", session["notebook_path"].rpartition("/")[0]

        def elsewhere(old: str, new: str) -> str:
            text = str(self.admin.get(home).expect(200)["documents"]["requirements"]["content"])
            body = {"type": "file", "format": "text", "content": text.replace(old, new)}
            self.admin.send("PUT", f"{self.url}/api/contents/{folder}/requirements.md", json=body).expect(200)
            return text

        elsewhere("add them", "sum them")
        self.do("sync_spec_session", "POST", f"{home}/sync", {})
        text = elsewhere("sum them", "count them")
        both = {"documents": {"requirements": text.replace("sum them", "total them")}}
        self.admin.send("PUT", home, json=both).expect(200)
        conflict = self.admin.get(f"{home}/conflicts").expect(200)["items"][0]
        self.do("resolve_conflict", "POST", f"conflicts/{conflict['id']}/resolve", {"choice": "theirs"})

    def propose(self, project: dict[str, Any]) -> None:
        session = self.admin.post("spec-sessions", {"project_id": project["id"], "title": "Proposed"}).expect(201)
        home = f"spec-sessions/{session['id']}"
        asked = {"session_id": session["id"], "stage": "requirements", "mode": "propose", "model": "offline"}
        first = self.admin.post("plan", {**asked, "prompt": "- Add two numbers"}).expect(200)["proposal"]["id"]
        self.do("accept_proposal", "POST", f"proposals/{first}/accept", {})
        self.do("approve_document", "POST", f"{home}/documents/requirements/approve", {"version": 1}, by=self.other)
        self.do("reopen_document", "POST", f"{home}/documents/requirements/reopen", by=self.other)
        second = self.admin.post("plan", {**asked, "prompt": "- Subtract two numbers"}).expect(200)["proposal"]["id"]
        self.do("reject_proposal", "POST", f"proposals/{second}/reject", {"reason": "Adding is enough."})

    def review(self, tasks: list[dict[str, Any]]) -> None:
        asked = {"task_id": tasks[0]["id"], "model": "offline"}
        first = self.do("generate_code", "POST", "code/generate", asked)["patch_id"]
        digest = self.admin.post("code/preview", {"patch_id": first}).expect(200)["digest"]
        self.do("replay_patch", "POST", f"code/patches/{first}/replay", by=self.other)
        self.do("approve_patch", "POST", f"code/patches/{first}/approve", {"digest": digest}, by=self.other)
        self.do("withdraw_approval", "POST", f"code/patches/{first}/withdraw", by=self.other)
        self.other.post(f"code/patches/{first}/approve", {"digest": digest}).expect(200)
        run = self.do("apply_patch", "POST", "code/apply", {"patch_id": first})["run_id"]
        self.do("cancel_run", "POST", f"exec/{run}/cancel")
        self.work_by_hand(tasks[0]["id"])
        self.execute(self.admin.get(f"exec/{run}").expect(200)["project_id"])
        second = self.admin.post("code/generate", asked).expect(201)["patch_id"]
        better = {"task_id": tasks[0]["id"], "instructions": "Better.", "model": f"openai/{MODEL}", "fix_rounds": 0}
        project_id = self.admin.get(f"exec/{run}").expect(200)["project_id"]
        self.do("refactor_code", "POST", "code/refactor", better | {"project_id": project_id})
        self.do("reject_patch", "POST", f"code/patches/{second}/reject", {"reason": "Not like this."}, by=self.other)

    def work_by_hand(self, task_id: str) -> None:
        def upload(name: str, line: str) -> str:
            header = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
            diff = f"{header}@@ -0,0 +1 @@\n+{line}\n"
            return str(self.do("upload_patch", "POST", "code/patches", {"task_id": task_id, "diff": diff})["id"])

        second, first = upload("notes.txt", "notes"), upload("test_it.py", "def test_it(): pass")
        digest = self.admin.get(f"code/patches/{first}").expect(200)["digest"]
        self.other.post(f"code/patches/{first}/approve", {"digest": digest}).expect(200)
        run = self.admin.post("code/apply", {"patch_id": first}).expect(202)["run_id"]
        assert self.admin.wait_for_run(run)["status"] == "success"
        self.do("edit_patch", "PUT", f"code/patches/{second}", {"summary": "Notes"})
        self.do("rebase_patch", "POST", f"code/patches/{second}/rebase", {})
        self.do("revert_patch", "POST", f"code/patches/{first}/revert", {"reason": "Not needed."})

    def execute(self, project_id: str) -> None:
        settings = {"commands": {"test": ["echo", "tested"], "build": ["echo", "built"]}}
        self.do("put_run_settings", "PUT", f"projects/{project_id}/run-settings", settings)
        asked = {"project_id": project_id}
        run = self.do("run_tests", "POST", "exec/test", asked)["id"]
        self.do("run_build", "POST", "exec/build", asked)
        self.do("run_command", "POST", "exec", {**asked, "type": "test", "command": ["echo", "hi"]})
        self.admin.wait_for_run(run)
        self.do("repeat_run", "POST", f"exec/{run}/rerun")

    def lease(self, project: dict[str, Any]) -> None:
        asked = {"project_id": project["id"], "domains": ["pypi.org"], "reason": "Packages."}
        lease = self.do("request_egress_lease", "POST", "egress/leases", asked)["id"]
        self.do("approve_egress_lease", "POST", f"egress/leases/{lease}/approve", {}, by=self.other)
        self.do("revoke_egress_lease", "POST", f"egress/leases/{lease}/revoke")
        second = self.admin.post("egress/leases", asked).expect(201)["id"]
        self.do("deny_egress_lease", "POST", f"egress/leases/{second}/deny", {"reason": "Once is enough."})

    def do_all(self) -> None:
        project, session, tasks = self.specify()
        self.propose(project)
        self.lease(project)
        self.review(tasks)
        self.do("put_kv", "PUT", "kv/global/key", {"value_json": 1})
        self.do("delete_kv", "DELETE", "kv/global/key")
        self.do("create_launch_code", "POST", "auth/launch-codes", {})
        self.do("revoke", "POST", "auth/revocations", {"token_id": "some-token"})
        self.do("sign_out", "POST", "auth/sign-out", by=self.leaver)
        self.do("delete_spec_session", "DELETE", f"spec-sessions/{session['id']}")
        self.do("delete_project", "DELETE", f"projects/{project['id']}")


@pytest.mark.timeout(240)
def test_every_operation_that_changes_something_leaves_an_entry_and_an_event(team: Team, server: Studio) -> None:
    deeds = Deeds(team, server)
    with closing(deeds):
        deeds.do_all()
        expected = {operation.id for operation in all_operations() if operation.method != "GET"} - CHANGES_NOTHING
        assert set(deeds.answers) == expected, "add the new operation to `Deeds`"
        events = all_events(deeds.admin)
        without: list[str] = []
        for operation in sorted(expected):
            query = {"request_id": f"audit-{operation}", "limit": 200}
            entries = deeds.admin.get("audit", **query).expect(200)["items"]
            told = [event for event in events if event["payload"].get("request_id") == f"audit-{operation}"]
            if not entries or not told:
                without.append(operation)
            assert {event["type"] for event in told} <= {entry["action"] for entry in entries}
            assert {event["subject_id"] for event in told} <= {entry["resource_id"] for entry in entries}
        assert without == []


def all_events(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        page = api.get("events", after=after, limit=200).expect(200)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        after = int(page["next_cursor"])


def test_what_is_refused_leaves_no_entry(team: Team, server: Studio) -> None:
    with closing(team.api(server.url, new_id())) as admin:
        project = admin.project()
        ask = partial(admin.send, headers={"X-Request-ID": "refused-1"})
        ask("PUT", f"projects/{project['id']}", json={"name": ""}).problem(422)
        ask("PUT", f"projects/{new_id()}", json={"name": "x"}).problem(404)
        ask("POST", "spec-sessions", json={"project_id": str(new_id()), "title": "x"}).problem(404)
        assert admin.get("audit", request_id="refused-1").expect(200)["items"] == []


def test_only_administrators_read_the_audit_and_each_that_of_their_tenant(team: Team, server: Studio) -> None:
    tenant = new_id()
    with closing(team.api(server.url, tenant)) as admin, closing(team.api(server.url, new_id())) as eve:
        project = admin.project()
        for role in ("reviewer", "executor", "viewer"):
            with closing(team.api(server.url, tenant, roles=(role,))) as api:
                assert api.get("audit").problem(403)["permission"] == "audit:read"
        mine = admin.get("audit").expect(200)["items"]
        assert project["id"] in {entry["resource_id"] for entry in mine}
        assert project["id"] not in str(eve.get("audit", limit=200).expect(200))
        assert eve.get("audit", resource_id=project["id"]).expect(200)["items"] == []
        read = admin.get("audit", action="data_read").expect(200)["items"]
        assert [entry["details"]["entries"] for entry in read] == [len(mine)]


def test_the_audit_pages_newest_first_to_its_first_entry(team: Team, server: Studio) -> None:
    with closing(team.api(server.url, new_id())) as admin:
        for number in range(5):
            admin.project(name=f"P{number}")
        newest = admin.get("audit", limit=1).expect(200)["items"][0]["seq"]
        seqs: list[int] = []
        cursor: str | None = None
        while True:
            page = admin.get("audit", limit=2, **({"cursor": cursor} if cursor else {})).expect(200)
            seqs += [entry["seq"] for entry in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seqs[0] == newest + 1  # having looked is an entry
        assert seqs == list(range(newest + 1, 0, -1))


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"until": "2026-01-01T00:00:00"}, {"user_id": "ana"}, {"limit": 0}, {"x": 1}]
)
def test_bad_filters_are_refused(team: Team, server: Studio, query: dict[str, Any]) -> None:
    with closing(team.api(server.url, new_id())) as admin:
        admin.get("audit", **query).problem(422)
