"""Checks git's objects: each is what its id names, and commits and trees lead where the statements say."""

from __future__ import annotations

from typing import Any

from devstudio_evidence import git_objects
from devstudio_evidence.content import Content
from devstudio_evidence.git_objects import Change, Commit

_KINDS = {"commits": "commit", "trees": "tree", "blobs": "blob"}


def check_objects(content: Content) -> None:
    """Recompute the id of every object, and keep the trees for the other checks."""
    for folder, kind in _KINDS.items():
        for name in content.below(folder):
            raw = content.members[f"{folder}/{name}"]
            if git_objects.object_id(kind, raw) != name:
                content.report.wrong(f"{folder}/{name}", f"The bytes are not the {kind} that its name, the id, means.")
                continue
            content.report.count(folder)
            if kind == "tree":
                content.trees[name] = raw


def commit(content: Content, commit_id: str, named_by: str) -> Commit | None:
    """Give a commit of the bundle, or None with a problem in the report."""
    member = f"commits/{commit_id}"
    if content.left_out(member):
        content.report.note(named_by, f"The commit {commit_id} that it names was left out, so it was not compared.")
        return None
    if member not in content.members:
        content.report.wrong(named_by, f"The commit {commit_id} that it names is not in the bundle.")
        return None
    try:
        return git_objects.read_commit(content.members[member])
    except git_objects.ObjectInvalid as error:
        content.report.wrong(member, f"This is no commit: {error}.")
        return None


def compare_trees(content: Content, member: str, old: str, new: str, files: list[dict[str, Any]]) -> None:
    """Check that two trees differ in exactly the files that a statement names, with their modes and blobs."""
    try:
        found = git_objects.changes(content.trees, old, new)
    except git_objects.ObjectMissing as missing:
        if content.left_out(f"trees/{missing}"):
            content.report.note(member, f"The tree {missing} was left out, so its files were not compared.")
        else:
            content.report.wrong(member, f"The tree {missing} is not in the bundle, so its files cannot be compared.")
        return
    except git_objects.ObjectInvalid as error:
        content.report.wrong(member, f"A tree cannot be read: {error}.")
        return
    said = {str(file["path"]): file for file in files}
    seen = {change.path: change for change in found}
    for path in sorted({*said, *seen}):
        if path not in seen:
            content.report.wrong(member, f"The trees {old[:12]} and {new[:12]} do not differ in {path!r}.")
        elif path not in said:
            content.report.wrong(member, f"The trees {old[:12]} and {new[:12]} differ in {path!r}, which is not named.")
        elif sides(seen[path]) != stated_sides(said[path]):
            content.report.wrong(member, f"The trees have another mode or blob for {path!r} than the statement.")
    content.report.count("tree comparisons")


def sides(change: Change) -> tuple[str, str, str, str]:
    """Give old mode, old blob, new mode, new blob; "" where the file does not exist."""
    old, new = change.old, change.new
    return (old.mode if old else "", old.id if old else "", new.mode if new else "", new.id if new else "")


def stated_sides(file: dict[str, Any]) -> tuple[str, str, str, str]:
    """Give the same of a statement's file, in which an absent side is null or all zeros."""
    values = [str(file.get(name) or "") for name in ("old_mode", "old_blob", "new_mode", "new_blob")]
    old_mode, old_blob, new_mode, new_blob = ("" if not value.strip("0") else value for value in values)
    return old_mode, old_blob, new_mode, new_blob
