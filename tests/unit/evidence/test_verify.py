"""What an insider would have to get past, who holds the key: each statement is changed and everything signed anew."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from devstudio_evidence.bundle import unpack
from devstudio_evidence.keys import Keys
from devstudio_evidence.report import Report
from devstudio_evidence.verify import verify
from support.bundle_maker import ANA, APPROVAL, BASE_RUN, BOB, PATCH, RUN, TASK, BundleMaker, Key

OTHER = "0190ffff-0000-7000-8000-000000000099"


def pinned(key: Key) -> Keys:
    keys = Keys()
    keys.add(key.public)
    return keys


def check(maker: BundleMaker, members: dict[str, bytes] | None = None) -> Report:
    return verify(maker.pack(members), pinned(maker.key))


def said(report: Report) -> str:
    return "\n".join(f"{each.member}: {each.said}" for each in report.problems)


def test_a_good_bundle_holds(made_once: BundleMaker) -> None:
    report = check(made_once)
    assert said(report) == ""
    assert report.pinned
    assert report.notes == []
    assert report.tasks == [
        {
            "id": TASK,
            "key": "1",
            "title": "Write the adder",
            "status": "done",
            "proven": ["1.1", "1.2"],
            "open": [],
        }
    ]
    assert report.checked == {
        "approvals": 1,
        "audit entries": 4,
        "blobs": 4,
        "commits": 2,
        "criteria proven": 2,
        "files re-applied": 3,
        "patches": 1,
        "runs": 2,
        "signatures": 3,
        "strict proofs": 1,
        "tree comparisons": 2,
        "trees": 3,
    }


def test_without_a_key_it_is_not_pinned(made_once: BundleMaker) -> None:
    report = verify(made_once.pack())
    assert (report.holds, report.pinned) == (True, False)
    assert report.key_id == made_once.key.id


def test_another_key_is_refused(made_once: BundleMaker) -> None:
    report = verify(made_once.pack(), pinned(Key(2)))
    assert "is not one of the trusted keys" in said(report)


def test_a_revoked_key_is_refused(made_once: BundleMaker) -> None:
    keys = pinned(made_once.key).joined(Keys(revoked={made_once.key.id}))
    assert "was revoked" in said(verify(made_once.pack(), keys))


def test_keys_inside_do_not_speak_for_themselves(made_once: BundleMaker) -> None:
    """Somebody signs the whole bundle anew with a key of their own, and puts that into `keys.json`."""
    thief = BundleMaker(made_once.repository.path.parent / "thief", Key(2))
    assert verify(thief.pack()).holds
    assert not verify(thief.pack(), pinned(made_once.key)).holds


def test_an_older_key_inside_is_vouched_for_by_the_manifest(maker: BundleMaker) -> None:
    old, new = Key(1), Key(2)
    members = maker.members()
    members["keys.json"] = json.dumps({"items": [new.row(), old.row("retired")]}).encode()
    maker.key = new
    assert said(verify(maker.pack(members), pinned(new))) == ""
    members["keys.json"] = json.dumps({"items": [new.row(), old.row("revoked")]}).encode()
    assert "revoked" in said(verify(maker.pack(members), pinned(new)))


Change = Callable[[BundleMaker], Any]


def expired(maker: BundleMaker) -> None:
    maker.patch["expires_at"] = "2026-11-20T10:59:00Z"


def approved_afterwards(maker: BundleMaker) -> None:
    maker.approvals[APPROVAL]["at"] = "2026-11-20T11:30:00Z"


def approved_by_the_author(maker: BundleMaker) -> None:
    maker.approvals[APPROVAL]["user_id"] = ANA


def approved_by_who_prompted(maker: BundleMaker) -> None:
    maker.patch["contributors"].append({"user_id": BOB, "role": "prompter"})


def two_needed(maker: BundleMaker) -> None:
    maker.patch["required_approvals"] = 2


def one_person_twice(maker: BundleMaker) -> None:
    maker.patch["required_approvals"] = 2
    maker.approvals[OTHER] = {**maker.approvals[APPROVAL], "approval_id": OTHER}
    maker.audited.append(("approval.created", OTHER))


def approved_other_bytes(maker: BundleMaker) -> None:
    maker.approvals[APPROVAL]["diff_sha256"] = "0" * 64


def approved_another_envelope(maker: BundleMaker) -> None:
    maker.approvals[APPROVAL]["patch_envelope_sha256"] = "0" * 64


def approval_of_another_tenant(maker: BundleMaker) -> None:
    maker.approvals[APPROVAL]["tenant_id"] = OTHER


def another_tenant(maker: BundleMaker) -> None:
    maker.patch["tenant_id"] = OTHER


def another_task(maker: BundleMaker) -> None:
    maker.patch["task_id"] = OTHER


def another_branch(maker: BundleMaker) -> None:
    maker.patch["branch"] = "release"


def file_not_named(maker: BundleMaker) -> None:
    maker.patch["files"].pop()


def file_too_many(maker: BundleMaker) -> None:
    maker.patch["files"].append({**maker.patch["files"][0], "path": "evil.py"})


def another_mode(maker: BundleMaker) -> None:
    maker.patch["files"][0]["new_mode"] = "100755"


def another_blob(maker: BundleMaker) -> None:
    maker.patch["files"][0]["new_blob"] = "1" * 40


def another_base_tree(maker: BundleMaker) -> None:
    maker.patch["base_tree"] = maker.tree


def other_diff(maker: BundleMaker) -> None:
    maker.diff = maker.diff.replace(b"+It adds.", b"+It eats.")


def misleading_diff(maker: BundleMaker) -> None:
    """The bytes that people approved say one thing, the headers and the tree another."""
    maker.diff = maker.diff.replace(b"+It adds.", b"+It eats.")
    digest = hashlib.sha256(maker.diff).hexdigest()
    maker.patch["diff_sha256"] = maker.approvals[APPROVAL]["diff_sha256"] = digest
    maker.trailers["Patch"] = f"{PATCH} sha256:{digest}"


def other_tree_committed(maker: BundleMaker) -> None:
    maker.committed_tree = maker.repository.change(maker.tree, {"evil.py": b"1\n"})


def no_run_trailer(maker: BundleMaker) -> None:
    del maker.trailers["Run"]


def another_patch_trailer(maker: BundleMaker) -> None:
    maker.trailers["Patch"] = f"{PATCH} sha256:{'0' * 64}"


def another_task_trailer(maker: BundleMaker) -> None:
    maker.trailers["Task"] = f"1 {OTHER}"


def another_approver_trailer(maker: BundleMaker) -> None:
    maker.trailers["Approved-By"] = OTHER


def run_of_another_tree(maker: BundleMaker) -> None:
    maker.statement["tree"] = maker.base_tree


def failed_run(maker: BundleMaker) -> None:
    maker.run["status"] = "failed"


def failed_test(maker: BundleMaker) -> None:
    maker.run["tests"][0]["outcome"] = "failed"


def skipped_test(maker: BundleMaker) -> None:
    maker.run["tests"][0]["outcome"] = "skipped"


def other_log(maker: BundleMaker) -> None:
    maker.statement["log_sha256"] = "0" * 64


def passes_without_the_change(maker: BundleMaker) -> None:
    maker.base_run["tests"][0]["outcome"] = "passed"


def base_run_passed(maker: BundleMaker) -> None:
    maker.base_run["status"] = "success"


def base_run_with_the_change(maker: BundleMaker) -> None:
    maker.base_run["tree"] = maker.tree


def base_run_of_something_else(maker: BundleMaker) -> None:
    maker.base_run["tree"] = maker.repository.change(maker.base_tree, {"test_adder.py": b"assert False\n"})


def no_base_run(maker: BundleMaker) -> None:
    maker.statement["base_run_id"] = maker.run["base_run_id"] = None


def run_without_approvals(maker: BundleMaker) -> None:
    maker.statement["approvals"] = []


def criterion_edited(maker: BundleMaker) -> None:
    maker.requirements = maker.requirements.replace("add them", "multiply them")


def criterion_gone(maker: BundleMaker) -> None:
    maker.requirements = maker.requirements.split("2. IF")[0]


def nothing_signed_proves_it(maker: BundleMaker) -> None:
    maker.statement["criteria"] = []


def done_with_an_open_criterion(maker: BundleMaker) -> None:
    maker.evidence["tasks"][0]["criteria"][1].update(state="lost", proof=None)


def done_without_criteria(maker: BundleMaker) -> None:
    maker.evidence["tasks"][0]["criteria"] = []


def strict_by_word_only(maker: BundleMaker) -> None:
    maker.statement["criteria"] = [
        {"key": key, "sha256": digest, "tests": ["test_adder::test_adds"], "strict": False}
        for key, digest in maker.criteria.items()
    ]


def approval_not_audited(maker: BundleMaker) -> None:
    maker.audited.pop()


def patch_not_audited(maker: BundleMaker) -> None:
    maker.audited.pop(0)


def another_subject(maker: BundleMaker) -> None:
    maker.manifest["task_id"] = OTHER


CASES: list[tuple[Change, str]] = [
    (expired, r"committed after its signature expired"),
    (approved_afterwards, r"approvals/.*given after the commit"),
    (approved_by_the_author, r"by somebody who had a hand in the patch"),
    (approved_by_who_prompted, r"by somebody who had a hand in the patch"),
    (two_needed, r"1 of 2 approvals"),
    (one_person_twice, r"1 of 2 approvals"),
    (approved_other_bytes, r"it is for other bytes"),
    (approved_another_envelope, r"it is for other bytes"),
    (approval_of_another_tenant, r"approvals/.*signed for another tenant"),
    (another_tenant, r"envelope.json: It was signed for another tenant"),
    (another_task, r"signed for another task"),
    (another_branch, r"It went to main; approved was release"),
    (file_not_named, r"which is not named"),
    (file_too_many, r"'evil.py' is only in the signed statement"),
    (another_mode, r"diff.patch: The diff has another mode or blob"),
    (another_blob, r"trees have another mode or blob"),
    (another_base_tree, r"The base tree is not the one of the base commit"),
    (misleading_diff, r"What the diff makes of 'README.md' is not the blob"),
    (other_diff, r"diff.patch: The diff is not the one that was signed"),
    (other_tree_committed, r"The tree of the commit is not the one that was tested"),
    (other_tree_committed, r"differ in 'evil.py', which is not named"),
    (no_run_trailer, r"The trailer DevStudio-Run"),
    (another_patch_trailer, r"The trailer DevStudio-Patch"),
    (another_task_trailer, r"The trailer DevStudio-Task"),
    (another_approver_trailer, r"The trailers DevStudio-Approved-By"),
    (run_of_another_tree, r"The run has another tree"),
    (failed_run, r"A run that ended as failed proves nothing"),
    (failed_test, r"did not pass in the run"),
    (skipped_test, r"did not pass in the run"),
    (other_log, r"log.sha256: The digest of the log"),
    (passes_without_the_change, r"passed without the change, too"),
    (base_run_passed, r"Without the change, the tests ended as success"),
    (base_run_with_the_change, r"was made on the tree with the change"),
    (base_run_of_something_else, r"had another 'test_adder.py' than the patch"),
    (no_base_run, r"no run without the change is named"),
    (run_without_approvals, r"0 of 1 approvals"),
    (criterion_edited, r"requirements.md: The text of 1.1 is not the one that was proven"),
    (criterion_gone, r"no criterion 1.2"),
    (nothing_signed_proves_it, r"No signed run of the bundle proves 1.1"),
    (done_with_an_open_criterion, r"called done, but nothing proves 1.2"),
    (done_without_criteria, r"called done, but nothing proves any criterion"),
    (strict_by_word_only, r"called strictly proven, but the signed run does not say so"),
    (approval_not_audited, r"does not note approval.created"),
    (patch_not_audited, r"does not note patch.created"),
    (another_subject, r"which the bundle is about, is not in it"),
]


@pytest.mark.parametrize(("change", "why"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_does_not_fit_together_is_named(maker: BundleMaker, change: Change, why: str) -> None:
    change(maker)
    report = check(maker)
    assert not report.holds
    assert re.search(why, said(report)), said(report)


def test_a_person_alone_is_said_to_be_alone(maker: BundleMaker) -> None:
    maker.patch["required_approvals"] = 0
    maker.approvals[APPROVAL].update(user_id=ANA, self_reviewed=True)
    maker.trailers["Approved-By"] = f"{ANA} (self-reviewed)"
    report = check(maker)
    assert said(report) == ""
    assert [each.said for each in report.notes] == [
        f"The patch {PATCH} was approved by who made it: no second person was asked for."
    ]


def test_nobody_at_all_is_not_enough_for_a_person_alone(maker: BundleMaker) -> None:
    maker.patch["required_approvals"] = 0
    maker.statement["approvals"] = []
    assert "0 of 1 approvals" in said(check(maker))


def test_a_branch_that_moved_on_is_compared_by_what_the_commit_changed(maker: BundleMaker) -> None:
    maker.move_on({"other.txt": b"of somebody else\n"})
    report = check(maker)
    assert said(report) == ""
    assert "The branch had moved on; compared is what the commit changed there." in [each.said for each in report.notes]


@pytest.mark.parametrize(
    "member",
    [
        f"patches/{PATCH}/envelope.json",
        f"patches/{PATCH}/diff.patch",
        f"patches/{PATCH}/revisions.json",
        f"approvals/{APPROVAL}.json",
        f"runs/{RUN}/run.json",
        f"runs/{RUN}/statement.json",
        f"runs/{RUN}/log.sha256",
        f"runs/{BASE_RUN}/run.json",
        "session/requirements.md",
        "evidence.json",
        "policy.json",
        "keys.json",
        "audit/segment.jsonl",
        "first of commits",
        "first of trees",
        "first of blobs",
    ],
)
def test_a_member_that_the_manifest_forgets_is_missed(made_once: BundleMaker, member: str) -> None:
    members = made_once.members()
    folder = member.removeprefix("first of ")
    gone = next(name for name in members if name == member or (folder != member and name.startswith(f"{folder}/")))
    if folder == "blobs":  # the bytes before the change are what the diff is applied to
        gone = f"blobs/{next(file['old_blob'] for file in made_once.patch['files'] if file['old_blob'])}"
    del members[gone]
    report = check(made_once, members)
    assert not report.holds, gone


@pytest.mark.parametrize("member", ["commits", "trees", "blobs"])
def test_an_object_under_another_id_is_named(made_once: BundleMaker, member: str) -> None:
    members = made_once.members()
    name = next(name for name in members if name.startswith(f"{member}/"))
    members[name] += b"x"
    assert f"{name}: The bytes are not the" in said(check(made_once, members))


@pytest.mark.parametrize("name", ["tenant_id", "base_commit", "base_tree", "files", "author", "contributors", "branch"])
def test_a_statement_of_another_shape_is_a_problem_and_no_crash(maker: BundleMaker, name: str) -> None:
    del maker.patch[name]
    assert f"lacks '{name}'" in said(check(maker))
    maker.patch[name] = 7
    assert check(maker).holds == (name == "author")  # whoever that may be


def test_a_proof_that_a_later_run_gave_back_is_said_to_be_unsigned(maker: BundleMaker) -> None:
    members = maker.members()
    later = {**json.loads(members[f"runs/{RUN}/run.json"]), "id": OTHER, "commit": None}
    for entry in maker.evidence["tasks"][0]["criteria"]:
        entry["proof"]["run_id"] = OTHER
    members["evidence.json"] = json.dumps(maker.evidence).encode()
    assert f"runs/{OTHER}/run.json: This member is missing." in said(check(maker, members))
    members[f"runs/{OTHER}/run.json"] = json.dumps(later).encode()
    report = check(maker, members)
    assert said(report) == ""
    assert "1.1 was shown again by this later run, which is not signed." in [each.said for each in report.notes]
    later["tests"] = [{**test, "outcome": "failed"} for test in later["tests"]]
    members[f"runs/{OTHER}/run.json"] = json.dumps(later).encode()
    assert "did not pass in the run" in said(check(maker, members))


def test_what_was_left_out_and_says_so_is_a_note(maker: BundleMaker) -> None:
    members = maker.members()
    del members[f"patches/{PATCH}/diff.patch"]
    maker.left_out = [{"path": f"patches/{PATCH}/diff.patch", "why": "The file is restricted."}]
    report = check(maker, members)
    assert said(report) == ""
    assert "The diff was left out, so its digest was not compared." in [each.said for each in report.notes]


def test_a_chain_with_a_hole_is_named(maker: BundleMaker) -> None:
    members = maker.members()
    lines = members["audit/segment.jsonl"].splitlines(keepends=True)
    for hole in ([0, 1, 3], [0, 2, 1, 3], [0, 1, 1, 2, 3]):
        members["audit/segment.jsonl"] = b"".join(lines[number] for number in hole)
        assert "an entry is missing, doubled or out of order" in said(check(maker, members)), hole
    altered = json.loads(lines[1]) | {"user_id": BOB}
    members["audit/segment.jsonl"] = b"".join([lines[0], json.dumps(altered).encode() + b"\n", *lines[2:]])
    assert "its content is not what its hash covers" in said(check(maker, members))


def test_what_it_reads_is_what_was_packed(made_once: BundleMaker) -> None:
    packed = made_once.pack()
    assert set(unpack(packed)) == {*made_once.members(), "manifest.json"}
