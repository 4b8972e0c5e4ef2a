"""Checks approvals: they name the very bytes, come from enough different people, and were in time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from devstudio_evidence.content import APPROVAL_TYPE, PATCH_TYPE, Content
from devstudio_evidence.git_objects import Commit

APPROVED_BY = "DevStudio-Approved-By"
_SKEW_S = 1
"""Git counts whole seconds."""


def check_approvals(content: Content) -> None:
    """Check every approval by itself."""
    for name in content.below("approvals"):
        member = f"approvals/{name}"
        statement = content.statement(member, APPROVAL_TYPE)
        if statement is None:
            continue
        with content.report.reading(member):
            if f"{statement['approval_id']}.json" != name:
                content.report.wrong(member, f"This is the approval {statement['approval_id']}.")
            if statement["tenant_id"] != content.manifest["tenant_id"]:
                content.report.wrong(member, "It was signed for another tenant.")
            patch = content.statement(_envelope(statement), PATCH_TYPE)
            if patch is not None and not names(content, statement, patch):
                content.report.note(
                    member, "This approval was for other bytes than those that were applied: not counted."
                )
            content.report.count("approvals")


def names(content: Content, approval: dict[str, Any], patch: dict[str, Any]) -> bool:
    """Tell whether an approval names a signed patch: its envelope, its bytes and its revision."""
    said = (approval["patch_envelope_sha256"], approval["diff_sha256"], approval["revision"])
    return said == (content.digest(_envelope(approval)), patch["diff_sha256"], patch["revision"])


def check_count(content: Content, member: str, statement: dict[str, Any], patch: dict[str, Any], made: Commit) -> None:
    """Check that those approvals that a run stood on are there, and were enough when it committed."""
    committed_at = made.committed_at
    digests = {content.digest(f"approvals/{name}"): f"approvals/{name}" for name in content.below("approvals")}
    counted: dict[str, dict[str, Any]] = {}
    for digest in statement["approvals"]:
        if digest not in digests:
            content.report.wrong(
                member, f"The approval with the SHA-256 {digest} that it stood on is not in the bundle."
            )
            continue
        approval = content.statement(digests[digest], APPROVAL_TYPE)
        if approval is None:
            continue
        why = _why_void(content, approval, patch, committed_at)
        if why:
            content.report.wrong(digests[digest], f"The patch was committed on this approval, but {why}.")
        else:
            counted[approval["user_id"]] = approval
    named = {value.split()[0] for value in made.trailers.get(APPROVED_BY, []) if value}
    if named != set(counted):
        said = f"The trailers {APPROVED_BY} of the commit name others than the approvals that hold."
        content.report.wrong(f"commits/{statement['commit']}", said)
    needed = max(1, int(patch["required_approvals"]))
    if len(counted) < needed:
        said = f"{len(counted)} of {needed} approvals by different people hold for the patch {patch['patch_id']}."
        content.report.wrong(member, said)
    if patch["required_approvals"] == 0 and any(approval["self_reviewed"] for approval in counted.values()):
        content.report.note(
            member, f"The patch {patch['patch_id']} was approved by who made it: no second person was asked for."
        )
    if seconds(patch["expires_at"]) + _SKEW_S < committed_at:
        content.report.wrong(member, f"The patch was committed after its signature expired ({patch['expires_at']}).")


def _why_void(content: Content, approval: dict[str, Any], patch: dict[str, Any], committed_at: int) -> str:
    hands = {patch["author"], *(each["user_id"] for each in patch["contributors"])}
    if approval["patch_id"] != patch["patch_id"] or not names(content, approval, patch):
        return "it is for other bytes"
    if patch["required_approvals"] and (approval["self_reviewed"] or approval["user_id"] in hands):
        return "it is by somebody who had a hand in the patch"
    if seconds(approval["at"]) > committed_at + _SKEW_S:
        return "it was given after the commit"
    return ""


def _envelope(approval: dict[str, Any]) -> str:
    return f"patches/{approval['patch_id']}/envelope.json"


def seconds(text: str) -> float:
    """Give a time of a statement in seconds since 1970."""
    # Before Python 3.11, `fromisoformat` does not know the letter.
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()  # noqa: FURB162
