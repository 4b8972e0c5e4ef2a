"""Runs over HTTP: logs, failures, cancel, and what a failed run leaves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.model_server import Answer, Call, ModelServer, ScriptBrain
from support.studio import Api, Studio

DOCUMENTS = {
    "requirements": "# Requirements\n### Requirement 1: One\n#### Acceptance Criteria\n1. THE SYSTEM SHALL work\n",
    "tasks": "# Tasks\n- [ ] 1. Do it\n  - _Requirements: 1.1_\n",
}
PROVES = "import pytest\n\n\n@pytest.mark.criterion('1.1')\ndef test_it() -> None:\n    assert True\n"
Make = Callable[[dict[str, str]], dict[str, Any]]


@pytest.fixture
def make_patch(api: Api, model_server: ModelServer) -> Iterator[Make]:
    """Return a function that makes a patch of given files in a new project."""
    usual = model_server.brain
    model = next(m["id"] for m in api.get("ai/models").expect(200)["items"] if m["provider"] == "openai")

    def make(files: dict[str, str], task: dict[str, Any] | None = None) -> dict[str, Any]:
        if task is None:
            session = api.session(api.project()["id"])
            api.put(f"spec-sessions/{session['id']}", {"documents": DOCUMENTS}).expect(200)
            task = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
        listed = [{"path": path, "action": "create", "content": content} for path, content in files.items()]
        model_server.brain = ScriptBrain([Answer(calls=[Call("propose_changes", {"summary": "s", "files": listed})])])
        asked = {"task_id": task["id"], "model": model, "fix_rounds": 0}  # the tests are for the run of the patch
        return dict(api.post("code/generate", asked).expect(201)) | {"task": task}

    yield make
    model_server.brain = usual


def commits(studio: Studio, project_id: str) -> int:
    path = next(studio.data_dir.glob(f"repositories/*/{project_id}.git"))
    command = ["git", f"--git-dir={path}", "rev-list", "--count", "main"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_a_failing_test_commits_nothing_and_says_where(api: Api, studio: Studio, make_patch: Make) -> None:
    patch = make_patch({"tests/test_it.py": "def test_a():\n    assert 1 == 2\n\n\ndef test_b():\n    pass\n"})
    run = api.apply(patch["patch_id"])
    assert (run["status"], run["exit_code"], run["commit"]) == ("failed", 1, None)
    assert "1 of 2 tests failed" in run["reason"]
    assert "test_it.py:" in run["reason"]
    failed = next(test for test in run["tests"] if test["outcome"] == "failed")
    assert failed["name"] == "test_a"
    assert commits(studio, run["project_id"]) == 1
    task = api.get(f"tasks/{patch['task']['id']}").expect(200)
    assert task["status"] == "in_progress"
    assert "1 of 2 tests failed" in task["status_reason"]
    assert api.get(f"code/patches/{patch['patch_id']}").expect(200)["status"] == "approved", "it can be applied again"


def test_a_patch_without_tests_proves_nothing(api: Api, studio: Studio, make_patch: Make) -> None:
    run = api.apply(make_patch({"README.md": "hello\n"})["patch_id"])
    assert run["status"] == "failed"
    assert "No tests were found" in run["reason"]
    assert commits(studio, run["project_id"]) == 1


def test_a_passing_run_without_named_criteria_does_not_make_done(api: Api, make_patch: Make) -> None:
    patch = make_patch({"tests/test_it.py": "def test_a():\n    pass\n"})
    assert "1.1" in " ".join(patch["warnings"])
    run = api.apply(patch["patch_id"])
    assert run["status"] == "success"
    task = api.get(f"tasks/{patch['task']['id']}").expect(200)
    assert task["status"] == "in_progress"
    assert "1.1" in task["status_reason"]


def test_a_skipped_test_proves_nothing(api: Api, make_patch: Make) -> None:
    body = PROVES.replace("    assert True", "    pytest.skip('later')")
    patch = make_patch({"tests/test_it.py": body, "tests/test_other.py": "def test_b():\n    pass\n"})
    assert api.apply(patch["patch_id"])["status"] == "success"
    assert api.get(f"tasks/{patch['task']['id']}").expect(200)["status"] == "in_progress"


def test_a_log_is_followed_and_resumed_by_offset(api: Api, make_patch: Make) -> None:
    body = PROVES + "\n\ndef test_print():\n    for n in range(2000):\n        print('línea', n)\n    assert True\n"
    patch = make_patch({"tests/test_it.py": body})
    run = api.apply(patch["patch_id"])
    whole = api.get(f"exec/{run['id']}/logs", offset=0, limit=1_000_000).expect(200)
    assert whole["eof"]
    assert whole["status"] == "success"
    assert "línea 1999" in whole["content"]
    pieces, offset = "", 0
    while True:
        page = api.get(f"exec/{run['id']}/logs", offset=offset, limit=1000).expect(200)
        assert page["offset"] == offset
        pieces, offset = pieces + page["content"], page["next_offset"]
        if page["eof"]:
            break
    assert pieces == whole["content"]
    events = list(api.events("GET", f"exec/{run['id']}/logs?limit=1000"))
    assert "".join(event["data"]["content"] for event in events) == whole["content"]
    middle = events[len(events) // 2]
    resumed = list(api.events("GET", f"exec/{run['id']}/logs?limit=1000", **{"Last-Event-ID": middle["id"]}))
    assert [event["id"] for event in resumed] == [event["id"] for event in events[len(events) // 2 + 1 :]]


def test_the_log_is_live(api: Api, make_patch: Make) -> None:
    body = "import time\n\n\ndef test_it():\n    time.sleep(600)\n"
    patch = make_patch({"tests/test_it.py": body})
    digest = api.post("code/preview", {"patch_id": patch["patch_id"]}).expect(200)["digest"]
    api.post(f"code/patches/{patch['patch_id']}/approve", {"digest": digest}).expect(200)
    run_id = api.post("code/apply", {"patch_id": patch["patch_id"]}).expect(202)["run_id"]
    api.post("code/apply", {"patch_id": patch["patch_id"]}).problem(409)
    seen = ""
    for event in api.events("GET", f"exec/{run_id}/logs"):
        seen += event["data"]["content"]
        if "Running:" in seen and event["data"]["status"] == "running":
            cancelled = api.post(f"exec/{run_id}/cancel", {})
            assert cancelled.status in {200, 409}
            break
    run = api.wait_for_run(run_id)
    assert run["status"] == "cancelled"
    assert run["commit"] is None
    api.post(f"exec/{run_id}/cancel", {}).problem(409)
    names = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"label=renum.devstudio.run={run_id}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert names.stdout == "", "no container is left"


def test_a_rejected_patch_is_not_applied_and_its_reason_reaches_the_model(
    api: Api, make_patch: Make, model_server: ModelServer
) -> None:
    patch = make_patch({"tests/test_it.py": PROVES})
    api.post(f"code/patches/{patch['patch_id']}/reject", {"reason": ""}).problem(422)
    reason = "Please use the word banana."
    rejected = api.post(f"code/patches/{patch['patch_id']}/reject", {"reason": reason}).expect(200)
    assert (rejected["status"], rejected["rejected_reason"]) == ("rejected", reason)
    digest = rejected["digest"]
    api.post(f"code/patches/{patch['patch_id']}/approve", {"digest": digest}).problem(409)
    api.post("code/apply", {"patch_id": patch["patch_id"]}).problem(409)
    make_patch({"tests/test_it.py": PROVES}, patch["task"])
    assert reason in model_server.requests[-1].turns[0].text


def test_a_patch_whose_base_moved_fails_clearly(api: Api, studio: Studio, make_patch: Make) -> None:
    first = make_patch({"a.py": "x = 1\n", "tests/test_it.py": PROVES})
    second = make_patch({"a.py": "x = 2\n", "tests/test_it.py": PROVES}, first["task"])
    assert api.apply(first["patch_id"])["status"] == "success"
    run = api.apply(second["patch_id"])
    assert run["status"] == "failed"
    assert "generate it again" in run["reason"]
    assert commits(studio, run["project_id"]) == 2


def test_an_unknown_branch_is_refused(api: Api, make_patch: Make) -> None:
    patch = make_patch({"tests/test_it.py": PROVES})
    digest = api.post("code/preview", {"patch_id": patch["patch_id"]}).expect(200)["digest"]
    api.post(f"code/patches/{patch['patch_id']}/approve", {"digest": digest}).expect(200)
    for branch in ("nowhere", "--upload-pack=x", "a..b", "../x"):
        api.post("code/apply", {"patch_id": patch["patch_id"], "branch": branch}).problem(422)


def fill(path: Path) -> None:
    """Write to ``path`` until the disk is full."""
    with path.open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass


def test_a_full_disk_at_commit_leaves_nothing_half_applied(
    api: Api, studio: Studio, make_patch: Make, tmp_path: Path
) -> None:
    """The objects folder becomes a full disk of its own between approval and commit."""
    patch = make_patch({"tests/test_it.py": PROVES})
    patch_row = api.get(f"code/patches/{patch['patch_id']}").expect(200)
    objects = next(studio.data_dir.glob(f"repositories/*/{patch_row['project_id']}.git/objects"))
    copy = tmp_path / "objects"
    subprocess.run(["cp", "-a", objects, copy], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", objects], check=True)
    try:
        subprocess.run(["cp", "-a", f"{copy}/.", objects], check=True)
        fill(objects / "filler")
        run = api.apply(patch["patch_id"])
        assert run["status"] == "failed"
        assert "disk" in run["reason"]
        assert run["commit"] is None or commits(studio, patch_row["project_id"]) == 1
        assert commits(studio, patch_row["project_id"]) == 1
        assert api.get(f"code/patches/{patch['patch_id']}").expect(200)["status"] == "approved"
        (objects / "filler").unlink()
        started = api.post("code/apply", {"patch_id": patch["patch_id"]}).expect(202)
        assert api.wait_for_run(started["run_id"])["status"] == "success", "it goes through once there is room"
    finally:
        subprocess.run(["umount", objects], check=True)
        subprocess.run(["cp", "-a", f"{copy}/.", objects], check=True)


def test_the_log_of_no_run_is_a_problem_document_for_a_stream_too(api: Api) -> None:
    missing = "0199aa00-0000-7000-8000-000000000000"
    answer = api.send("GET", f"exec/{missing}/logs", headers={"Accept": "text/event-stream"})
    assert missing in answer.problem(404)["detail"]
    patch_headers = {"Accept": "text/event-stream", "Last-Event-ID": "abc"}
    api.send("GET", f"exec/{missing}/logs", headers=patch_headers).problem(422)
