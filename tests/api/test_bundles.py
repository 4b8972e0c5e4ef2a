"""A task walks to done with strict proof in containers, loses and regains it, and each time its bundle verifies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devstudio_evidence.keys import Keys, read
from devstudio_evidence.report import Report
from devstudio_evidence.verify import verify
from support.proof_walk import ProofWalk
from support.studio import Studio


def bundle_of(studio: Studio, **query: str) -> bytes:
    response = studio.api._client.get("evidence/bundle", params=query)
    assert response.status_code == 200, response.text
    assert "attachment" in response.headers["content-disposition"]
    return response.content


def keys_of(studio: Studio) -> Keys:
    return read(json.dumps(studio.api.get("signing-keys").expect(200)))


def holds(report: Report) -> None:
    assert [f"{each.member}: {each.said}" for each in report.problems] == []


def command(studio: Studio, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devstudio_server.cli", "evidence", *arguments],
        env=studio.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_task_is_proven_loses_it_regains_it_and_each_bundle_says_so(studio: Studio, tmp_path: Path) -> None:
    walk = ProofWalk(studio.api)
    empty = verify(bundle_of(studio, task_id=walk.task_id), keys_of(studio))
    holds(empty)
    assert (empty.tasks[0]["status"], empty.tasks[0]["proven"]) == ("todo", [])

    walk.to_done()
    done = verify(bundle_of(studio, task_id=walk.task_id), keys_of(studio))
    holds(done)
    assert (done.tasks[0]["status"], done.tasks[0]["proven"]) == ("done", ["1.1", "1.2"])
    assert done.checked["strict proofs"] == 1

    walk.edit_criterion()
    edited = verify(bundle_of(studio, task_id=walk.task_id), keys_of(studio))
    holds(edited)
    assert (edited.tasks[0]["proven"], edited.tasks[0]["open"]) == (["1.1"], ["1.2"])

    walk.prove_again()
    content = bundle_of(studio, session_id=walk.session["id"])
    again = verify(content, keys_of(studio))
    holds(again)
    assert (again.tasks[0]["status"], again.tasks[0]["proven"]) == ("done", ["1.1", "1.2"])
    assert again.checked["patches"] == 2
    check_commands(studio, walk, tmp_path)


def check_commands(studio: Studio, walk: ProofWalk, folder: Path) -> None:
    """Export and verify with the commands, too, with the keys as the command and as HTTP give them."""
    (folder / "keys.json").write_text(json.dumps(studio.api.get("signing-keys").expect(200)))
    exported = command(studio, "export", walk.task_id, "--output", str(folder / "task.tar"))
    assert exported.returncode == 0, exported.stderr
    verified = command(studio, "verify", str(folder / "task.tar"), "--key", str(folder / "keys.json"))
    assert verified.returncode == 0, verified.stdout
    assert "task 1 Write the adder: done; proven: 1.1, 1.2" in verified.stdout
    keys = subprocess.run(
        [sys.executable, "-m", "devstudio_server.cli", "keys", "export"],
        env=studio.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "keys.pem").write_text(keys.stdout)
    assert command(studio, "verify", str(folder / "task.tar"), "--key", str(folder / "keys.pem")).returncode == 0
    assert command(studio, "verify", str(folder / "task.tar")).returncode == 3
    missing = command(studio, "export", walk.project["id"], "--output", str(folder / "no.tar"))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "There is no task and no session" in missing.stderr


@pytest.mark.parametrize("query", [{}, {"task_id": "x"}, {"task_id": "0190aaaa-0000-7000-8000-000000000001", "a": "b"}])
def test_a_wrong_question_is_refused(studio: Studio, query: dict[str, str]) -> None:
    studio.api.get("evidence/bundle", **query).problem(422)


def test_one_subject_is_asked_for_that_is_there(studio: Studio) -> None:
    nowhere = "0190aaaa-0000-7000-8000-000000000001"
    studio.api.get("evidence/bundle", task_id=nowhere, session_id=nowhere).problem(422)
    studio.api.get("evidence/bundle", task_id=nowhere).problem(404)
    studio.api.get("evidence/bundle", session_id=nowhere).problem(404)


def test_who_exported_is_noted_in_the_audit(studio: Studio) -> None:
    session = studio.api.session(studio.api.project()["id"])
    content = bundle_of(studio, session_id=session["id"])
    entry = studio.api.get("audit", action="data_export", resource_id=session["id"]).expect(200)["items"][0]
    assert entry["details"]["bytes"] == len(content)
