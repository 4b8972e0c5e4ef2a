"""Checks the segment of the audit: an unbroken chain, and every approval and run of the bundle noted in it.

An entry that is about something else is given by its number and hashes alone: the chain passes through it, and what
it says stays in the house.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from devstudio_evidence import strict_json
from devstudio_evidence.content import Content

SEGMENT = "audit/segment.jsonl"
_HASHED = ("id", "tenant_id", "source_module", "seq", "action", "resource_type", "resource_id", "user_id")
_REST = ("request_id", "details", "created_at", "prev_hash")
_LINK = {"seq", "prev_hash", "hash"}
_NOTED = {"approvals": "approval.created", "patches": "patch.created"}


def check_audit(content: Content) -> None:
    """Check order, links and hashes, and that what the bundle shows was noted."""
    if SEGMENT not in content.members:
        content.report.wrong(SEGMENT, "The segment of the audit is missing.")
        return
    noted: set[tuple[str, str]] = set()
    before: dict[str, Any] | None = None
    for number, line in enumerate(content.members[SEGMENT].decode("utf-8", "replace").splitlines(), 1):
        entry = _read(content, number, line)
        if entry is None:
            return
        with content.report.reading(f"{SEGMENT} line {number}"):
            why = _why_broken(entry, before, content.manifest["tenant_id"])
            if why:
                content.report.wrong(SEGMENT, f"Line {number}, entry {entry.get('seq')}: {why}")
                return
            noted.add((str(entry.get("action")), str(entry.get("resource_id"))))
        before = entry
        content.report.count("audit entries")
    _check_noted(content, noted)


def entry_hash(entry: dict[str, Any]) -> str:
    """Give the hash that an entry of the audit must have."""
    said = {name: entry[name] if isinstance(entry[name], int) else str(entry[name]) for name in (*_HASHED, *_REST)}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def _read(content: Content, number: int, line: str) -> dict[str, Any] | None:
    try:
        entry = strict_json.loads(line)
    except strict_json.JsonInvalid as error:
        content.report.wrong(SEGMENT, f"Line {number} cannot be read: {error}.")
        return None
    if not isinstance(entry, dict) or set(entry) not in (_LINK, {*_HASHED, *_REST, "hash"}):
        content.report.wrong(SEGMENT, f"Line {number} is no entry of the audit.")
        return None
    return entry


def _why_broken(entry: dict[str, Any], before: dict[str, Any] | None, tenant_id: str) -> str:
    if before is not None and entry["seq"] != before["seq"] + 1:
        return f"it follows {before['seq']}, so an entry is missing, doubled or out of order."
    if before is not None and entry["prev_hash"] != before["hash"]:
        return "it is not linked to the entry before it."
    if set(entry) == _LINK:
        return ""
    if entry_hash(entry) != entry["hash"]:
        return "its content is not what its hash covers."
    return "" if entry["tenant_id"] == tenant_id else "it is another tenant's."


def _check_noted(content: Content, noted: set[tuple[str, str]]) -> None:
    for folder, action in _NOTED.items():
        for name in content.below(folder):
            if (action, name.split(".json")[0]) not in noted:
                content.report.wrong(SEGMENT, f"The audit does not note {action} for {folder}/{name}.")
