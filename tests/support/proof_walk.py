"""A task's life over HTTP: strictly proven, its criterion edited, proven again, refuted by a run, given back, reverted.

Each step returns what a test looks at; nothing here asserts more than that the calls were answered.
"""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

from support.studio import Api

REQUIREMENTS = """# Requirements

### Requirement 1: Add numbers
**User Story:** As a clerk, I want sums, so that I can bill.

#### Acceptance Criteria
1. WHEN two numbers are given THE SYSTEM SHALL add them.
2. IF no number is given THEN THE SYSTEM SHALL answer 0.
"""
TASKS = "# Tasks\n- [ ] 1. Write the adder\n  - _Requirements: 1.1, 1.2_\n"
EDITED = ("SHALL answer 0.", "SHALL answer -1.")
CODE = 'import os\n\n\ndef add(*numbers):\n    return sum(numbers) + int(os.environ.get("ADDER_OFFSET", "0"))\n'
TESTS = (
    "import pytest\nfrom adder import add\n\n\n"
    '@pytest.mark.criterion("1.1")\ndef test_adds():\n    assert add(1, 2) == 3\n\n\n'
    '@pytest.mark.criterion("1.2")\ndef test_nothing():\n    assert add() == 0\n'
)
FIRST = {"adder.py": CODE, "test_adder.py": TESTS}
SECOND = {
    "adder.py": CODE.replace("    return", "    if not numbers:\n        return -1\n    return"),
    "test_adder.py": TESTS.replace("add() == 0", "add() == -1"),
}


class ProofWalk:
    """One task of a new project that asks for strict proof."""

    def __init__(self, api: Api, **policy: Any) -> None:
        """Make project, session and task; ``policy`` is added to the project's review policy."""
        self.api = api
        self.files: dict[str, str] = {}
        self.project = api.project(name="Proof walk", type="integration")
        path = f"projects/{self.project['id']}/review-policy"
        api.put(path, {"strict_proof": True, **policy}).expect(200)
        self.session = api.session(self.project["id"], title="Adder")
        self.write(requirements=REQUIREMENTS, tasks=TASKS)
        self.task_id = str(self._tasks()[0]["id"])

    def write(self, **documents: str) -> dict[str, Any]:
        """Write documents of the session."""
        path = f"spec-sessions/{self.session['id']}"
        version = self.api.get(path).expect(200)["version"]
        return dict(self.api.put(path, {"documents": documents}, version=version).expect(200))

    def _tasks(self) -> list[dict[str, Any]]:
        return list(self.api.get(f"spec-sessions/{self.session['id']}/tasks").expect(200)["items"])

    def task(self) -> dict[str, Any]:
        """Return the task."""
        return dict(self.api.get(f"tasks/{self.task_id}").expect(200))

    def evidence(self) -> dict[str, dict[str, Any]]:
        """Return where its criteria stand, by key."""
        found = self.api.get(f"tasks/{self.task_id}/evidence").expect(200)
        return {criterion["key"]: criterion for criterion in found["criteria"]}

    def upload(self, files: dict[str, str]) -> str:
        """Upload the patch that makes ``files`` of what is there, and return its id."""
        diff = "".join(_diff(path, self.files.get(path), text) for path, text in files.items())
        made = self.api.post("code/patches", {"task_id": self.task_id, "diff": diff, "summary": "Add numbers"})
        return str(made.expect(201)["id"])

    def prove(self, files: dict[str, str]) -> tuple[str, dict[str, Any]]:
        """Upload, approve and apply a patch; return its id, and the run, ended."""
        patch_id = self.upload(files)
        run = self.api.apply(patch_id)
        if run["commit"]:
            self.files |= files
        return patch_id, run

    def to_done(self) -> tuple[str, dict[str, Any]]:
        """Prove the task strictly for the first time."""
        return self.prove(FIRST)

    def edit_criterion(self) -> None:
        """Change what criterion 1.2 asks for."""
        text = self.api.get(f"spec-sessions/{self.session['id']}").expect(200)["documents"]["requirements"]["content"]
        self.write(requirements=text.replace(*EDITED))

    def prove_again(self) -> tuple[str, dict[str, Any]]:
        """Prove what criterion 1.2 asks for now."""
        return self.prove(SECOND)

    def test_branch(self, **env: str) -> dict[str, Any]:
        """Test the default branch as it is, with the project's environment set to ``env``; return the run, ended."""
        path = f"projects/{self.project['id']}/run-settings"
        version = self.api.get(path).expect(200)["version"]
        self.api.put(path, {"env": env}, version=version or None).expect(200)
        started = self.api.post("exec/test", {"project_id": self.project["id"]}).expect(202)
        return self.api.wait_for_run(started["id"])

    def revert(self, patch_id: str) -> tuple[str, dict[str, Any]]:
        """Revert a patch by a patch; return its id, and the run, ended."""
        made = self.api.post(f"code/patches/{patch_id}/revert", {"reason": "It was wrong."}).expect(201)
        return str(made["id"]), self.api.apply(made["id"])


def _diff(path: str, old: str | None, new: str) -> str:
    """Return the change of one file as git writes it, which `difflib` does but for the head."""
    kind = "new file mode 100644\n" if old is None else ""
    before = "/dev/null" if old is None else f"a/{path}"
    lines = unified_diff((old or "").splitlines(True), new.splitlines(True), before, f"b/{path}")
    return f"diff --git a/{path} b/{path}\n{kind}{''.join(lines)}"
