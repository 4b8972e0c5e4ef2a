"""A small bundle made by hand, with real git objects and signatures; each part can be changed and signed anew."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devstudio_evidence import bundle, dsse, strict_json
from devstudio_evidence.check_audit import entry_hash
from devstudio_evidence.content import APPROVAL_TYPE, EVIDENCE_TYPE, PATCH_TYPE
from devstudio_evidence.criteria import read as read_criteria
from devstudio_evidence.dsse import Envelope, Signature
from devstudio_evidence.git_objects import read_commit
from devstudio_server.evidence.objects import Objects
from devstudio_server.evidence.redaction import HiddenFiles, LeftOut
from devstudio_server.scm import GitRepository
from devstudio_server.scm.git import Author
from support.domain_world import ADDER, REQUIREMENTS

TENANT, PROJECT, SESSION, TASK, PATCH, APPROVAL, RUN, BASE_RUN, ANA, BOB = (
    f"0190aaaa-0000-7000-8000-0000000000{number:02}" for number in range(1, 11)
)
TESTS = {"1.1": ["test_adder::test_adds"], "1.2": ["test_adder::test_empty"]}
AT = "2026-11-20T10:00:00Z"


class Key:
    """A signing key."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = bytes([seed] * 32)
        self.public = self.private.public_key().public_bytes_raw()
        self.id = dsse.key_id(self.public)

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._seed)

    def sign(self, payload_type: str, statement: dict[str, Any]) -> bytes:
        payload = strict_json.canonical(statement).encode()
        signature = Signature(self.id, self.private.sign(dsse.pae(payload_type, payload)))
        return Envelope(payload_type, payload, (signature,)).to_json().encode()

    def row(self, status: str = "active") -> dict[str, str]:
        return {"key_id": self.id, "status": status, "public_key": base64.b64encode(self.public).decode()}


class BundleMaker:
    """The statements of one applied patch. Change them, then call `members` or `pack`."""

    def __init__(self, folder: Path, key: Key | None = None) -> None:
        self.key = key or Key()
        self.repository = GitRepository(folder / "project.git")
        self.base = self.repository.create("main")
        self.base_tree = self.repository.change(self.repository.tree(self.base), {"README.md": b"An adder.\n"})
        author = Author("Ana", "ana@example.org")
        self.base = self.repository.commit(self.base_tree, (self.base,), "Say what it is\n", author)
        files = {**{path: text.encode() for path, text in ADDER.items()}, "README.md": b"An adder.\nIt adds.\n"}
        self.tree = self.repository.change(self.base_tree, files)
        self.diff = self.repository.diff(self.base_tree, self.tree)
        self.requirements = REQUIREMENTS
        self.criteria = {key: found.sha256 for key, found in read_criteria(REQUIREMENTS).items()}
        self.patch = self._patch()
        self.approvals = {APPROVAL: self._approval()}
        self.trailers = {
            "Task": f"1 {TASK}",
            "Criteria": "1.1, 1.2",
            "Run": RUN,
            "Patch": f"{PATCH} sha256:{self.patch['diff_sha256']}",
            "Approved-By": BOB,
        }
        self.committed_at = "2026-11-20T11:00:00+00:00"
        self.committed_tree = self.tested_tree = self.tree
        self.parent, self.parent_tree = self.base, self.base_tree
        self.run = self._run(RUN, "success", "passed", self.tree)
        self.tests_tree = self.repository.change(self.base_tree, {"test_adder.py": ADDER["test_adder.py"].encode()})
        self.base_run = self._run(BASE_RUN, "failed", "failed", self.tests_tree)
        self.statement: dict[str, Any] = {}
        self.evidence = self._evidence()
        self.policy: dict[str, Any] = {"strict_proof": True, "required_approvals": 1}
        self.audited = [("patch.created", PATCH), ("run.created", RUN), (None, ""), ("approval.created", APPROVAL)]
        self.left_out: list[dict[str, str]] = []
        self.manifest: dict[str, Any] = {}
        self.stood_on: list[str] = []
        self._made: dict[str, Any] = {}

    def copy(self) -> Self:
        """Return one that may be changed; the repository, to which objects are only added, is the same."""
        return deepcopy(self)

    def _patch(self) -> dict[str, Any]:
        files = [
            {
                "path": change.path,
                "change": "create" if not change.old_blob.strip("0") else "update",
                "old_mode": change.old_mode if change.old_blob.strip("0") else None,
                "new_mode": change.new_mode,
                "old_blob": change.old_blob if change.old_blob.strip("0") else None,
                "new_blob": change.new_blob,
            }
            for change in self.repository.changes(self.base_tree, self.tree)
        ]
        return {
            "tenant_id": TENANT,
            "project_id": PROJECT,
            "repository": f"{TENANT}/{PROJECT}",
            "patch_id": PATCH,
            "revision": 1,
            "branch": "main",
            "base_commit": self.base,
            "base_tree": self.base_tree,
            "result_tree": self.tree,
            "diff_sha256": bundle.sha256(self.diff),
            "files": files,
            "task_id": TASK,
            "criteria": [{"key": key, "sha256": digest} for key, digest in self.criteria.items()],
            "author": ANA,
            "contributors": [{"user_id": ANA, "role": "author"}],
            "required_approvals": 1,
            "model": "offline",
            "issued_at": AT,
            "expires_at": "2026-11-27T10:00:00Z",
        }

    def _approval(self, user: str = BOB) -> dict[str, Any]:
        return {
            "tenant_id": TENANT,
            "approval_id": APPROVAL,
            "patch_id": PATCH,
            "revision": 1,
            "diff_sha256": self.patch["diff_sha256"],
            "patch_envelope_sha256": "",
            "user_id": user,
            "user_name": "Bob",
            "self_reviewed": False,
            "required_approvals": 1,
            "at": "2026-11-20T10:30:00Z",
        }

    def _run(self, run_id: str, status: str, outcome: str, tree: str | None) -> dict[str, Any]:
        names = [test for tests in TESTS.values() for test in tests]
        return {
            "id": run_id,
            "status": status,
            "branch": "main",
            "tree": tree,
            "commit": None,
            "patch_id": PATCH,
            "base_run_id": BASE_RUN if run_id == RUN else None,
            "isolation": "container",
            "tests": [{"id": name, "name": name, "outcome": outcome, "criteria": []} for name in names],
            "tests_complete": True,
        }

    def _evidence(self) -> dict[str, Any]:
        proofs = [
            {
                "key": key,
                "state": "proven",
                "why": "",
                "proof": {
                    "run_id": RUN,
                    "base_run_id": BASE_RUN,
                    "patch_id": PATCH,
                    "commit": None,
                    "tree": self.tree,
                    "tests": TESTS[key],
                    "strict": True,
                    "sha256": digest,
                },
            }
            for key, digest in self.criteria.items()
        ]
        return {"tasks": [{"id": TASK, "key": "1", "title": "Write the adder", "status": "done", "criteria": proofs}]}

    def move_on(self, files: dict[str, bytes]) -> None:
        """Have the branch move on before the patch is committed."""
        self.parent_tree = self.repository.change(self.base_tree, files)
        author = Author("Bob", "bob@example.org")
        self.parent = self.repository.commit(self.parent_tree, (self.base,), "Go on\n", author)
        self.committed_tree = self.tested_tree = self.run["tree"] = self.repository.apply(self.parent_tree, self.diff)
        self.base_run["tree"] = self.parent_tree

    def members(self) -> dict[str, bytes]:
        """Sign everything as it is now, and return the members without a manifest."""
        patch = self.key.sign(PATCH_TYPE, self.patch)
        approvals = {
            name: self.key.sign(APPROVAL_TYPE, {**said, "patch_envelope_sha256": self._named(said, patch)})
            for name, said in self.approvals.items()
        }
        commit = self._commit()
        run = {**self.run, "commit": commit}
        statement = {
            "run_id": RUN,
            "base_run_id": BASE_RUN,
            "patch_id": PATCH,
            "patch_envelope_sha256": bundle.sha256(patch),
            "approvals": [bundle.sha256(approvals[name]) for name in self.stood_on or approvals],
            "tree": self.tested_tree,
            "commit": commit,
            "branch": "main",
            "criteria": [
                {"key": key, "sha256": digest, "tests": TESTS[key], "strict": True}
                for key, digest in self.criteria.items()
            ],
            "log_sha256": bundle.sha256(b"log"),
            "isolation": "container",
            "finished_at": "2026-11-20T11:00:01Z",
            **self.statement,
        }
        revisions = [{"number": 1, "digest": self.patch["diff_sha256"], "reason": "created"}]
        return {
            "session/requirements.md": self.requirements.encode(),
            f"patches/{PATCH}/envelope.json": patch,
            f"patches/{PATCH}/diff.patch": self.diff,
            f"patches/{PATCH}/revisions.json": json.dumps(revisions).encode(),
            **{f"approvals/{name}.json": envelope for name, envelope in approvals.items()},
            f"runs/{RUN}/run.json": json.dumps(run).encode(),
            f"runs/{RUN}/statement.json": self.key.sign(EVIDENCE_TYPE, statement),
            f"runs/{RUN}/log.sha256": f"{bundle.sha256(b'log')}  {RUN}.log\n".encode(),
            f"runs/{BASE_RUN}/run.json": json.dumps(self.base_run).encode(),
            **self._objects(commit),
            "evidence.json": json.dumps(self.evidence).encode(),
            "policy.json": json.dumps(self.policy).encode(),
            "keys.json": json.dumps({"items": [self.key.row()]}).encode(),
            "audit/segment.jsonl": self._audit(),
        }

    def _named(self, approval: dict[str, Any], patch: bytes) -> str:
        return str(approval["patch_envelope_sha256"] or bundle.sha256(patch))

    def _commit(self) -> str:
        text = repr((self.trailers, self.committed_at, self.committed_tree, self.parent))
        if text not in self._made:
            self._made[text] = self._new_commit()
        return str(self._made[text])

    def _new_commit(self) -> str:
        trailers = "\n".join(f"DevStudio-{name}: {value}" for name, value in self.trailers.items())
        at = datetime.fromisoformat(self.committed_at)
        author = Author("Ana", "ana@example.org", at)
        return self.repository.commit(
            self.committed_tree, (self.parent,), f"Add the adder\n\nTask 1: Write the adder\n\n{trailers}\n", author
        )

    def _objects(self, commit: str) -> dict[str, bytes]:
        key = f"{commit} {self.base_run['tree']}"
        if key not in self._made:
            self._made[key] = self._read_objects(commit)
        return dict(self._made[key])

    def _read_objects(self, commit: str) -> dict[str, bytes]:
        objects = Objects(self.repository, HiddenFiles(self.repository, []), LeftOut())
        objects.add_commit(self.base)
        objects.add_commit(self.parent)
        made = read_commit(objects.add_commit(commit))
        objects.add_difference(self.base_tree, self.tree)
        objects.add_difference(self.parent_tree, made.tree)
        objects.add_difference(self.parent_tree, str(self.base_run["tree"]))
        return objects.members

    def _audit(self) -> bytes:
        lines, before = [], "0" * 64
        for seq, (action, resource_id) in enumerate(self.audited, 7):
            entry: dict[str, Any] = {
                "id": str(UUID(int=seq)),
                "tenant_id": TENANT,
                "source_module": "devstudio",
                "seq": seq,
                "action": action or "secret.deed",
                "resource_type": "thing",
                "resource_id": resource_id,
                "user_id": ANA,
                "request_id": "r",
                "details": '{"of":"\N{LATIN SMALL LETTER E WITH ACUTE}"}',
                "created_at": "2026-11-20T10:00:00.000001+00:00",
                "prev_hash": before,
            }
            entry["hash"] = before = entry_hash(entry)
            shown = entry if action else {name: entry[name] for name in ("seq", "prev_hash", "hash")}
            lines.append(strict_json.canonical(shown))
        return "".join(f"{line}\n" for line in lines).encode()

    def pack(self, members: dict[str, bytes] | None = None) -> bytes:
        """Sign a manifest over the members, and write the bundle."""
        found = self.members() if members is None else dict(members)
        statement = {
            "format": bundle.FORMAT,
            "subject": "task",
            "tenant_id": TENANT,
            "project_id": PROJECT,
            "session_id": SESSION,
            "task_id": TASK,
            "issued_at": AT,
            "version": "1",
            "members": bundle.listing(found),
            "left_out": self.left_out,
            **self.manifest,
        }
        return bundle.pack({**found, bundle.MANIFEST: self.key.sign(bundle.MANIFEST_TYPE, statement)})
