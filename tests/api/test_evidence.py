"""Evidence over HTTP, with containers: strictly proven, lost in every way there is and regained."""

from __future__ import annotations

import pytest

from support.proof_walk import ProofWalk
from support.studio import Api


def states(walk: ProofWalk) -> dict[str, str]:
    return {key: criterion["state"] for key, criterion in walk.evidence().items()}


@pytest.mark.timeout(600)
def test_a_task_is_done_while_it_is_proven_and_not_longer(api: Api) -> None:
    walk = ProofWalk(api)
    assert states(walk) == {"1.1": "missing", "1.2": "missing"}

    _patch, run = walk.to_done()
    base = api.get(f"exec/{run['base_run_id']}").expect(200)
    assert (run["status"], base["status"], run["isolation"], base["isolation"]) == (
        "success",
        "failed",
        "container",
        "container",
    )
    assert base["container_id"] != run["container_id"], "each in a container of its own"
    task = walk.task()
    assert (task["status"], task["evidence"]["strict"], task["evidence"]["commit"]) == ("done", True, run["commit"])
    assert task["evidence"]["base_run_id"] == base["id"]

    walk.edit_criterion()
    task = walk.task()
    assert (task["status"], task["status_reason"]) == ("in_progress", "Suspect: 1.2 changed after being proven.")
    assert [lost["key"] for lost in task["evidence"]["lost"]] == ["1.2"]
    assert states(walk) == {"1.1": "proven", "1.2": "lost"}

    second, again = walk.prove_again()
    assert (again["status"], walk.task()["status"]) == ("success", "done")
    proofs = {key: criterion["proof"] for key, criterion in walk.evidence().items()}
    assert {key: proof["run_id"] for key, proof in proofs.items()} == {"1.1": run["id"], "1.2": again["id"]}

    failed = walk.test_branch(ADDER_OFFSET="1")
    assert failed["status"] == "failed"
    task, told = walk.task(), walk.evidence()["1.1"]
    assert (task["status"], told["state"]) == ("in_progress", "lost")
    assert told["why"] == f"Run {failed['id']} on commit {again['commit'][:12]}: test `test_adder::test_adds` failed."
    assert told["why"] in task["status_reason"]

    passed = walk.test_branch()
    assert (passed["status"], walk.task()["status"]) == ("success", "done")
    told = walk.evidence()["1.1"]
    assert (told["proof"]["run_id"], told["proof"]["strict"]) == (passed["id"], True), "as strictly as it was proven"
    assert [entry["outcome"] for entry in told["history"]] == ["proven", "failed", "proven"]

    revert, run = walk.revert(second)
    assert (run["status"], walk.task()["status"]) == ("success", "in_progress"), run["reason"]
    told = walk.evidence()
    assert (told["1.1"]["state"], told["1.2"]["state"], told["1.2"]["proof"]["lost_by"]) == ("proven", "lost", revert)
    assert f"The patch {second}, which had proven it, was reverted" in told["1.2"]["why"]
