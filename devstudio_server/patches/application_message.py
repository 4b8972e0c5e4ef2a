"""The message of a commit that applies a patch: what and why, and trailers that name the evidence."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from uuid import UUID

from devstudio_server.patches.models import Approval, Patch
from devstudio_server.signing.signer import digest_of_envelope
from devstudio_server.specs.models import Task

_BREAKING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that could end a line, or turn its direction: nobody's words become a trailer."""
_MAX_SUBJECT = 72
_MAX_WORDS = 200
_APPROVED_BY, _ENVELOPE = "DevStudio-Approved-By:", "DevStudio-Envelope:"


def commit_message(patch: Patch, task: Task, run_id: UUID, approvals: Sequence[Approval], required: int) -> str:
    """Return the message, but for the trailer of a run that is not there yet.

    ``approvals`` are those that count, and ``required`` is how many by others the policy asks for.
    """
    title, key = one_line(task.title), one_line(task.key)
    subject = one_line(patch.summary)[:_MAX_SUBJECT].strip() or title[:_MAX_SUBJECT] or "Apply a patch"
    trailers = [
        f"DevStudio-Task: {key} {task.id}",
        f"DevStudio-Criteria: {one_line(', '.join(map(str, task.criteria))) or 'none'}",
        f"DevStudio-Run: {run_id}",
        f"DevStudio-Patch: {patch.id} sha256:{patch.digest}",
        *_envelope(patch),
        *([f"DevStudio-Reverts: {patch.reverts}"] if patch.reverts else []),
        f"DevStudio-Required-Approvals: {required}",
        *_approvers(approvals),
    ]
    return f"{subject}\n\nTask {key}: {title}\n\n" + "\n".join(trailers) + "\n"


def with_base_run(message: str, base_run_id: UUID | None) -> str:
    """Return the message with the trailer of the run that saw the tests fail without the change, if there was one."""
    return message if base_run_id is None else f"{message}DevStudio-Base-Run: {base_run_id}\n"


def still_true(message: str, patch: Patch, approvals: Sequence[Approval]) -> bool:
    """Tell whether whom and what a message names as approved is still what counts; more may count by now."""
    named = {line for line in message.splitlines() if line.startswith((_APPROVED_BY, _ENVELOPE))}
    return named <= {*_envelope(patch), *_approvers(approvals)}


def _envelope(patch: Patch) -> list[str]:
    return [f"{_ENVELOPE} sha256:{digest_of_envelope(patch.envelope)}"] if patch.envelope else []


def _approvers(approvals: Sequence[Approval]) -> list[str]:
    return [f"{_APPROVED_BY} {_approver(row)}" for row in approvals]


def one_line(text: str) -> str:
    """Return somebody's words on one line, without what could make them another one."""
    plain = "".join(" " if unicodedata.category(character) in _BREAKING else character for character in text)
    return " ".join(plain.split())[:_MAX_WORDS]


def _approver(row: Approval) -> str:
    """Name an approver: the id first, which nobody can choose."""
    name = one_line(row.user_name)
    return f"{row.user_id}{f' {name}' if name else ''}{' (self-reviewed)' if row.self_reviewed else ''}"
