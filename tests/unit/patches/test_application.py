"""A run that applies a patch, end to end in a plain process: once, only when green, and always to an end."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_sandbox import Backend, SandboxUnavailable
from devstudio_server.db import Actor
from devstudio_server.execution.jobs import do_run, give_up
from devstudio_server.execution.models import Run
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.jobs.models import Job
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.application_message import commit_message
from devstudio_server.patches.jobs import apply_patch, commit_patch
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.schemas import PatchStatus
from devstudio_server.scm.git import Author
from devstudio_server.specs.models import Task
from devstudio_server.specs.schemas import SpecSessionRead, TaskStatus
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.studio import CHECKOUT
from support.watched import Watched

AUTHOR = Author("Someone", "someone@example.org")
LAST_TRAILERS = ("Required-Approvals", "Approved-By")
RED = {**ADDER, "adder.py": "def add(*numbers):\n    return 0\n"}


@pytest.fixture
def backend(domain: DomainWorld) -> Watched:
    watched = Watched()
    checked: Backend = watched
    domain.backend = checked
    return watched


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


def approved(domain: DomainWorld, session: SpecSessionRead, files: dict[str, str] = ADDER) -> UUID:
    patch_id = domain.patch(domain.tasks(session.id)[0].id, dict(files))
    domain.approve(patch_id)
    return patch_id


def get(domain: DomainWorld, run_id: UUID) -> Run:
    with domain.patches() as patches:
        return patches.runs.get(run_id)


def log(domain: DomainWorld, run_id: UUID) -> str:
    return domain.logs.read(domain.actor.tenant_id, run_id, 0, 1_000_000).decode()


def head(domain: DomainWorld, session: SpecSessionRead) -> str:
    found = domain.repository(session.project_id).head("main")
    assert found is not None
    return found


def commits(domain: DomainWorld, session: SpecSessionRead) -> int:
    path = domain.repository(session.project_id).path
    done = subprocess.run(["git", "-C", path, "rev-list", "--count", "main"], check=True, capture_output=True)
    return int(done.stdout)


def status(domain: DomainWorld, patch_id: UUID) -> PatchStatus:
    with domain.patches() as patches:
        return patches.read(patch_id).status


def move(domain: DomainWorld, session: SpecSessionRead, files: dict[str, bytes | None]) -> str:
    """Commit ``files`` to main, as someone else does."""
    repository = domain.repository(session.project_id)
    before = head(domain, session)
    commit = repository.commit(repository.change(repository.tree(before), files), (before,), "other", AUTHOR)
    repository.move_branch("main", commit, before)
    return commit


def test_a_green_run_commits_once_and_proves_the_task(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    patch_id = approved(domain, session)
    before = head(domain, session)
    run_id = domain.apply(patch_id)
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.reason, run.exit_code) == (RunStatus.SUCCESS, "2 tests passed.", 0)
    assert run.commit == head(domain, session) != before
    assert (run.isolation, run.started_at is not None, run.finished_at is not None) == ("process", True, True)
    assert run.metrics_json is not None
    assert set(run.metrics_json) == {"duration", "cpu", "memory", "log_bytes_dropped", "queue_wait"}
    assert [(test["name"], test["criteria"], test["file"]) for test in run.tests] == [
        ("test_adds", ["1.1"], "test_adder.py"),
        ("test_empty", ["1.2"], "test_adder.py"),
    ]
    task = domain.tasks(session.id)[0]
    assert (task.status, task.evidence.commit if task.evidence else "") == (TaskStatus.DONE, run.commit)
    assert task.links == [{"type": "commit", "commit": run.commit, "run_id": str(run_id)}]
    assert status(domain, patch_id) is PatchStatus.APPLIED
    assert domain.tree(session.project_id).read("adder.py") == ADDER["adder.py"].encode()
    assert "Committed" in log(domain, run_id)
    assert domain.control.active() == []
    domain.do(run_id, 2)
    assert (commits(domain, session), backend.opened) == (2, 1), "a job that is done twice has one effect"
    assert get(domain, run_id).commit == run.commit


def test_the_commit_says_what_why_and_who(domain: DomainWorld, session: SpecSessionRead) -> None:
    task = domain.tasks(session.id)[0]
    patch_id = domain.patch(task.id, dict(ADDER), summary="Add\nnumbers\x01 " + "x" * 100 + "\n\nDevStudio-Run: forged")
    domain.approve(patch_id)
    run_id = domain.apply(patch_id)
    domain.do(run_id)
    path = domain.repository(session.project_id).path
    shown = subprocess.run(
        ["git", "-C", path, "log", "-1", "--format=%an <%ae>%n%B", "main"], check=True, capture_output=True, text=True
    ).stdout
    author, subject, _, body, _, *trailers = shown.rstrip("\n").split("\n")
    assert author == f"{domain.actor.name} <devstudio@localhost>"
    assert (subject[:14], len(subject)) == ("Add numbers xx", 72)
    assert body == "Task 1: Write the adder"
    with domain.patches() as patches:
        patch = patches.get(patch_id)
    assert trailers == [
        f"DevStudio-Task: 1 {task.id}",
        "DevStudio-Criteria: 1.1, 1.2",
        f"DevStudio-Run: {run_id}",
        f"DevStudio-Patch: {patch_id} sha256:{patch.digest}",
        f"DevStudio-Envelope: sha256:{sha256(str(patch.envelope).encode()).hexdigest()}",
        "DevStudio-Required-Approvals: 0",
        f"DevStudio-Approved-By: {domain.actor.user_id} {domain.actor.name} (self-reviewed)",
    ]


@pytest.mark.parametrize("name", ["Eve\nDevStudio-Run: forged", "Eve\u2028DevStudio-Run: forged", "Eve\x85\u202eX: y"])
def test_nobodys_words_become_a_trailer(name: str) -> None:
    task = Task(
        id=new_id(), key="1\nDevStudio-Task: 9", title="Add\r\n\r\nDevStudio-Run: forged", criteria=["1.1\nA: b"]
    )
    patch = Patch(id=new_id(), summary="\n\nDevStudio-Run: forged\n\nDevStudio-Run: forged", digest="d" * 64)
    approval = Approval(user_id=new_id(), user_name=name, self_reviewed=False)
    message = commit_message(patch, task, new_id(), [approval], 1)
    parsed = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message.encode(), check=True, capture_output=True
    ).stdout.decode()
    names = [line.partition(":")[0] for line in parsed.strip().split("\n")]
    assert names == [f"DevStudio-{name}" for name in ("Task", "Criteria", "Run", "Patch", *LAST_TRAILERS)]
    assert message.count("\n") == len(names) + 4


def test_a_red_run_leaves_branch_tree_and_task(domain: DomainWorld, session: SpecSessionRead) -> None:
    patch_id = approved(domain, session, RED)
    before = head(domain, session)
    run_id = domain.apply(patch_id)
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.commit, run.exit_code) == (RunStatus.FAILED, None, 1)
    assert run.reason == "1 of 2 tests failed; first: test_adds (test_adder.py:7). Nothing was committed."
    assert head(domain, session) == before
    assert domain.tree(session.project_id).read("adder.py") is None
    task = domain.tasks(session.id)[0]
    assert (task.status, task.evidence) == (TaskStatus.IN_PROGRESS, None)
    assert run.reason in task.status_reason
    assert status(domain, patch_id) is PatchStatus.APPROVED, "it may be applied again"


def test_tests_that_end_the_process_prove_nothing(domain: DomainWorld, session: SpecSessionRead) -> None:
    files = {**RED, "conftest.py": "import os\n\ndef pytest_runtest_setup(item):\n    os._exit(0)\n"}
    run_id = domain.apply(approved(domain, session, files))
    domain.do(run_id)
    run = get(domain, run_id)
    assert run.status == RunStatus.FAILED
    assert "without a report" in str(run.reason)
    assert commits(domain, session) == 1


def test_criteria_that_no_passing_test_names_stay_open(domain: DomainWorld, session: SpecSessionRead) -> None:
    files = {**ADDER, "test_adder.py": ADDER["test_adder.py"].replace('"1.2"', '"7.7"')}
    run_id = domain.apply(approved(domain, session, files))
    domain.do(run_id)
    task = domain.tasks(session.id)[0]
    assert get(domain, run_id).status == RunStatus.SUCCESS
    assert (task.status, task.status_reason) == (
        TaskStatus.IN_PROGRESS,
        "Applied, but no passing test names 1.2.",
    )


def test_a_criterion_that_changed_during_the_run_takes_its_approval_until_it_is_approved_again(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    edited = session.documents.requirements.content.replace("add them", "sum them")
    backend.then = lambda: domain.write(session.id, requirements=edited) and None
    patch_id, before = approved(domain, session), head(domain, session)
    run_id = domain.apply(patch_id)
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.commit, head(domain, session)) == (RunStatus.FAILED, None, before)
    assert "Criterion 1.1 changed since this was approved." in str(run.reason)
    backend.then = lambda: None
    domain.approve(patch_id)
    domain.do(domain.apply(patch_id))
    assert domain.tasks(session.id)[0].status is TaskStatus.DONE


def test_after_a_crash_between_branch_and_record_the_run_is_only_recorded(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    patch_id = approved(domain, session)
    run_id = domain.apply(patch_id)
    repository = domain.repository(session.project_id)
    before = head(domain, session)
    apply_patch(domain.job(), {"run_id": str(run_id)})
    do_run(domain.job(), {"run_id": str(run_id)})
    with domain.patches() as patches:
        commit = repository.commit(patches.get(patch_id).result_tree, (before,), "as the run did", AUTHOR)
        patches.runs.note(run_id, commit=commit)
    repository.move_branch("main", commit, before)
    # The criterion is edited before the server is back: what was tested was the old text.
    domain.write(session.id, requirements=REQUIREMENTS.replace("answer 0", "answer zero"))
    domain.do(run_id, 2)
    run = get(domain, run_id)
    assert (run.status, run.commit, run.reason) == (RunStatus.SUCCESS, commit, "2 tests passed.")
    assert (head(domain, session), backend.opened) == (commit, 1)
    task = domain.tasks(session.id)[0]
    assert task.evidence is not None
    assert task.evidence.criteria == ["1.1"]
    assert status(domain, patch_id) is PatchStatus.APPLIED
    assert domain.tree(session.project_id).read("adder.py") == ADDER["adder.py"].encode()


def test_after_a_crash_before_the_branch_moved_only_the_commit_is_done_again(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    run_id = domain.apply(approved(domain, session))
    apply_patch(domain.job(), {"run_id": str(run_id)})
    do_run(domain.job(), {"run_id": str(run_id)})
    repository = domain.repository(session.project_id)
    with domain.patches() as patches:
        run = patches.runs.get(run_id)
        lost = repository.commit(str(run.tree), (head(domain, session),), "never reached", AUTHOR)
        patches.runs.note(run_id, commit=lost)
    domain.do(run_id, 2)
    run = get(domain, run_id)
    assert (run.status, backend.opened, commits(domain, session)) == (RunStatus.SUCCESS, 1, 2)
    assert run.commit == head(domain, session) != lost


@contextmanager
def dying_at(domain: DomainWorld, transaction: int, *, committed: bool) -> Iterator[None]:
    """Let the process die in its n-th transaction: just before it commits, or just after."""
    real = domain.units.begin
    count = 0

    @contextmanager
    def begin(actor: Actor, *, read_only: bool = False) -> Iterator[Session]:
        nonlocal count
        count += 1
        mine = count
        with real(actor, read_only=read_only) as unit:
            yield unit
            if mine == transaction and not committed:
                raise KeyboardInterrupt
        if mine == transaction:
            raise KeyboardInterrupt

    domain.units.begin = begin  # type: ignore[method-assign]
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        domain.units.begin = real  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "transaction", [3, 4, 7, 9, 10, 11], ids=["settled", "begun", "tested", "stored", "moved", "finished"]
)
def test_whenever_a_job_dies_and_is_done_again_there_is_one_commit(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched, transaction: int
) -> None:
    run_id = domain.apply(approved(domain, session))
    with dying_at(domain, transaction, committed=False):
        domain.do(run_id)
    again = {3: 3, 4: 2, 7: 5, 9: 5, 10: 4, 11: 4}[transaction]  # steps that are done already open one transaction each
    with dying_at(domain, again, committed=True):
        domain.do(run_id)
    domain.do(run_id, 3)
    run = get(domain, run_id)
    assert (run.status, run.reason, commits(domain, session)) == (RunStatus.SUCCESS, "2 tests passed.", 2)
    assert run.commit == head(domain, session)
    assert domain.tasks(session.id)[0].status is TaskStatus.DONE
    with domain.unit() as unit:
        kinds = Counter(unit.scalars(select(Job.kind)))
    assert kinds == {"patches.apply": 1, "exec.run": 1, "patches.commit": 1}, "no step enqueued the next one twice"


def test_when_every_attempt_of_the_tests_died_the_task_says_so(domain: DomainWorld, session: SpecSessionRead) -> None:
    run_id = domain.apply(approved(domain, session))
    apply_patch(domain.job(), {"run_id": str(run_id)})
    give_up(domain.job(), {"run_id": str(run_id)}, "Every worker died.")
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.reason, commits(domain, session)) == (
        RunStatus.FAILED,
        "Every worker died. Nothing was committed.",
        1,
    )
    assert str(run.reason) in domain.tasks(session.id)[0].status_reason


def test_two_servers_that_commit_at_the_same_time_make_one_commit(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    run_id = domain.apply(approved(domain, session))
    apply_patch(domain.job(), {"run_id": str(run_id)})
    do_run(domain.job(), {"run_id": str(run_id)})
    both = Barrier(2)

    def commit() -> None:
        both.wait(30)
        commit_patch(domain.job(), {"run_id": str(run_id)})

    threads = [threading.Thread(target=commit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    run = get(domain, run_id)
    assert (run.status, run.commit, commits(domain, session)) == (RunStatus.SUCCESS, head(domain, session), 2)


def test_a_branch_that_moves_during_the_test_is_left_alone(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    moved: list[str] = []
    backend.then = lambda: moved.append(move(domain, session, {"other": b"1"}))
    patch_id = approved(domain, session)
    run_id = domain.apply(patch_id)
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.commit, head(domain, session)) == (RunStatus.FAILED, None, moved[0])
    assert "moved" in str(run.reason)
    assert "Apply it again" in str(run.reason)
    backend.then = lambda: None
    domain.do(domain.apply(patch_id))
    assert commits(domain, session) == 3, "the patch fits the new head, so it is applied there"


def test_a_patch_that_no_longer_fits_fails_clearly(domain: DomainWorld, session: SpecSessionRead) -> None:
    patch_id = approved(domain, session)
    moved = move(domain, session, {"adder.py": b"other\n"})
    run_id = domain.apply(patch_id)
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, head(domain, session)) == (RunStatus.FAILED, moved)
    assert "adder.py" in str(run.reason)
    assert "generate it again" in str(run.reason)


def test_bytes_that_changed_after_the_approval_are_not_applied(domain: DomainWorld, session: SpecSessionRead) -> None:
    patch_id = approved(domain, session)
    run_id = domain.apply(patch_id)
    with domain.patches() as patches:
        patch = patches.get(patch_id)
        patch.patch_content = patch.patch_content.replace("sum(numbers)", "evil(numbers)")
    domain.do(run_id)
    assert get(domain, run_id).status == RunStatus.FAILED
    assert "No approval" in str(get(domain, run_id).reason)
    assert commits(domain, session) == 1


def test_a_run_cancelled_before_it_began_does_nothing(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    run_id = domain.apply(approved(domain, session))
    with domain.patches() as patches:
        patches.runs.cancel(run_id)
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "Cancelled before it began.")
    assert (backend.opened, commits(domain, session)) == (0, 1)


def test_a_run_cancelled_while_the_tests_run_commits_nothing(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    wait = "import time\n\ndef pytest_sessionstart(session):\n    print('UP', flush=True)\n    time.sleep(60)\n"
    files = {**ADDER, "conftest.py": wait}
    run_id = domain.apply(approved(domain, session, files))
    thread = threading.Thread(target=domain.do, args=(run_id,))
    thread.start()
    while "UP" not in (log(domain, run_id) if domain.logs.size(domain.actor.tenant_id, run_id) else ""):
        assert thread.is_alive()
        thread.join(0.02)
    with domain.patches() as patches:
        patches.runs.cancel(run_id)
    thread.join(30)
    assert not thread.is_alive()
    run = get(domain, run_id)
    assert (run.status, run.commit, commits(domain, session)) == (RunStatus.CANCELLED, None, 1)


def test_a_cancel_while_the_sandbox_opens_is_seen(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    run_id = domain.apply(approved(domain, session))

    def cancel() -> None:
        with domain.patches() as patches:
            patches.runs.cancel(run_id)

    backend.then = cancel
    domain.do(run_id)
    assert get(domain, run_id).status == RunStatus.CANCELLED
    assert commits(domain, session) == 1


def test_a_cancel_that_reached_no_sandbox_still_keeps_the_branch(domain: DomainWorld, session: SpecSessionRead) -> None:
    # As from another server: only the row says so, here while the tests are under way.
    request = """import sys
from uuid import UUID

sys.path[:0] = CHECKOUT
from sqlalchemy import update
from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.db.registry import all_tables
from devstudio_server.execution.models import Run


def pytest_sessionfinish(session):
    all_tables()
    tenant = UUID(TENANT)
    with Units(create_engine(DATABASE)).begin(Actor(tenant, tenant)) as unit:
        unit.execute(update(Run).values(cancel_requested=True))
"""
    said = {
        "CHECKOUT": [str(CHECKOUT)],
        "DATABASE": domain.database.url,
        "TENANT": str(domain.actor.tenant_id),
    }
    for name, value in said.items():
        request = request.replace(name, repr(value))
    run_id = domain.apply(approved(domain, session, {**ADDER, "conftest.py": request}))
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.commit, commits(domain, session)) == (RunStatus.CANCELLED, None, 1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SandboxUnavailable("no engine; start it"), "no engine; start it"),
        (RuntimeError("secret detail"), "An internal error ended the run."),
        (OSError(28, "No space left on device"), "No space left on device while the run was under way"),
    ],
)
def test_whatever_goes_wrong_the_run_ends_with_a_reason(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched, error: Exception, reason: str
) -> None:
    def fail() -> None:
        raise error

    backend.then = fail
    patch_id = approved(domain, session)
    run_id = domain.apply(patch_id)
    domain.do(run_id)
    run = get(domain, run_id)
    assert run.status == RunStatus.FAILED
    assert str(run.reason).startswith(reason)
    assert str(run.reason).endswith("Nothing was committed.")
    assert "secret" not in str(run.reason)
    assert (status(domain, patch_id), commits(domain, session)) == (PatchStatus.APPROVED, 1)


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("what", ["task", "session", "project"])
def test_a_run_ends_when_what_it_is_for_was_removed(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched, what: str, when: str
) -> None:
    def remove() -> None:
        if what == "task":
            domain.write(session.id, tasks="# Tasks\n- [ ] 2. Say thanks\n")
        elif what == "session":
            with domain.specs() as specs:
                specs.delete(session.id, None)
        else:
            with domain.projects() as projects:
                projects.delete(session.project_id, None)

    run_id = domain.apply(approved(domain, session))
    if when == "before":
        remove()
    else:
        backend.then = remove
    domain.do(run_id)
    run = get(domain, run_id)
    assert (RunStatus(run.status), run.commit, commits(domain, session)) == (RunStatus.FAILED, None, 1)
    assert when == "before" or "removed while it was tested. Nothing was committed." in str(run.reason)


@pytest.fixture
def small_repositories(domain: DomainWorld) -> Iterator[Path]:
    """Repositories on a file system of 2 MiB."""
    root = domain.git.root
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


def test_a_full_disk_at_the_commit_fails_and_applies_nothing(
    small_repositories: Path, domain: DomainWorld, backend: Watched
) -> None:
    session = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
    patch_id = approved(domain, session)
    ballast = small_repositories / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    backend.then = fill
    run_id = domain.apply(patch_id)
    before = head(domain, session)
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.commit, head(domain, session)) == (RunStatus.FAILED, None, before)
    assert "disk" in str(run.reason)
    assert "Free some space" in str(run.reason)
    assert domain.tree(session.project_id).read("adder.py") is None
    ballast.unlink()
    backend.then = lambda: None
    domain.do(domain.apply(patch_id))
    assert (commits(domain, session), domain.tasks(session.id)[0].status) == (2, TaskStatus.DONE)


def test_files_that_cannot_be_shown_do_not_undo_a_commit(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched, tmp_path: Path
) -> None:
    root = domain.tree(session.project_id).root

    def replace_tree() -> None:
        root.rename(tmp_path / "moved")
        root.write_text("a file where the tree was")

    backend.then = replace_tree
    run_id = domain.apply(approved(domain, session))
    domain.do(run_id)
    run = get(domain, run_id)
    assert (run.status, run.commit) == (RunStatus.SUCCESS, head(domain, session))
    assert domain.tasks(session.id)[0].status is TaskStatus.DONE
