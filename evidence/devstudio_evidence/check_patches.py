"""Checks patches: what was signed is what is here, what the diff says of itself, and what the trees have."""

from __future__ import annotations

from typing import Any

from devstudio_evidence import diffs, git_objects
from devstudio_evidence.check_objects import commit, compare_trees, stated_sides
from devstudio_evidence.content import PATCH_TYPE, Content
from devstudio_evidence.diffs import FileDiff


def check_patches(content: Content) -> None:
    """Check every patch of the bundle."""
    for patch_id in content.below("patches"):
        member = f"patches/{patch_id}/envelope.json"
        statement = content.statement(member, PATCH_TYPE)
        if statement is None:
            continue
        with content.report.reading(member):
            _check_place(content, member, statement, patch_id)
            _check_diff(content, statement, patch_id)
            _check_revisions(content, statement, patch_id)
            base = commit(content, statement["base_commit"], member)
            if base is not None and base.tree != statement["base_tree"]:
                content.report.wrong(member, "The base tree is not the one of the base commit.")
            compare_trees(content, member, statement["base_tree"], statement["result_tree"], statement["files"])
            content.report.count("patches")


def _check_place(content: Content, member: str, statement: dict[str, Any], patch_id: str) -> None:
    """Check that a signed patch is this one, of this tenant, project and task."""
    wanted = {"patch_id": patch_id, **{name: content.manifest[name] for name in ("tenant_id", "project_id")}}
    for name, value in wanted.items():
        if statement[name] != value:
            content.report.wrong(member, f"It was signed for another {name.removesuffix('_id')}: {statement[name]}.")
    if content.manifest["task_id"] is not None and statement["task_id"] != content.manifest["task_id"]:
        content.report.wrong(member, f"It was signed for another task: {statement['task_id']}.")


def _check_diff(content: Content, statement: dict[str, Any], patch_id: str) -> None:
    member = f"patches/{patch_id}/diff.patch"
    if member not in content.members:
        if content.left_out(member):
            content.report.note(member, "The diff was left out, so its digest was not compared.")
        else:
            content.report.wrong(member, "The diff is missing.")
        return
    if content.digest(member) != statement["diff_sha256"]:
        content.report.wrong(member, "The diff is not the one that was signed and approved: its SHA-256 is another.")
        return
    try:
        files = {file.path: file for file in diffs.read(content.members[member])}
    except diffs.DiffInvalid as error:
        content.report.wrong(member, f"The diff cannot be read: {error}.")
        return
    said = {str(file["path"]): file for file in statement["files"]}
    for path in sorted({*files, *said}):
        if path not in files or path not in said:
            where = "diff" if path in files else "signed statement"
            content.report.wrong(member, f"The file {path!r} is only in the {where}.")
        elif not _agree(files[path], said[path]):
            content.report.wrong(member, f"The diff has another mode or blob for {path!r} than the signed statement.")
        else:
            _check_application(content, member, files[path], said[path])


def _agree(file: FileDiff, said: dict[str, Any]) -> bool:
    """Compare the headers with the statement; a file that is only chmodded has no `index` line."""
    old_mode, old_blob, new_mode, new_blob = stated_sides(said)
    if file.created != (old_blob == "") or file.deleted != (new_blob == ""):
        return False
    modes = not (file.old_mode and old_mode != file.old_mode) and not (file.new_mode and new_mode != file.new_mode)
    if not file.old_blob:
        return modes and old_blob == new_blob and old_mode != new_mode
    return modes and all(
        blob.startswith(short) if blob else not short.strip("0")
        for blob, short in ((old_blob, file.old_blob), (new_blob, file.new_blob))
    )


def _check_application(content: Content, member: str, file: FileDiff, said: dict[str, Any]) -> None:
    """Apply a text file's hunks to its old bytes: the diff that was approved has to lead to the signed blob."""
    _, old_blob, _, new_blob = stated_sides(said)
    if not file.body:
        return
    if file.binary:
        content.report.note(member, f"{file.path!r} is binary: its blobs were compared by id, its delta not applied.")
        return
    if old_blob and f"blobs/{old_blob}" not in content.members:
        if content.left_out(f"blobs/{old_blob}"):
            content.report.note(member, f"The bytes of {file.path!r} before the change were left out; not applied.")
        else:
            content.report.wrong(member, f"The bytes of {file.path!r} before the change are not in the bundle.")
        return
    try:
        after = diffs.applied(file, content.members[f"blobs/{old_blob}"] if old_blob else b"")
    except diffs.DiffInvalid as error:
        content.report.wrong(member, f"The diff does not fit {file.path!r}: {error}.")
        return
    if git_objects.object_id("blob", after) != new_blob and (new_blob or after):
        content.report.wrong(member, f"What the diff makes of {file.path!r} is not the blob that was signed.")
    content.report.count("files re-applied")


def _check_revisions(content: Content, statement: dict[str, Any], patch_id: str) -> None:
    member = f"patches/{patch_id}/revisions.json"
    revisions = content.json(member)
    if revisions is None:
        return
    with content.report.reading(member):
        numbers = [revision["number"] for revision in revisions]
        if numbers != list(range(1, len(numbers) + 1)):
            content.report.wrong(member, "The revisions are not counted from 1 without a gap.")
        elif not numbers or (numbers[-1], revisions[-1]["digest"]) != (statement["revision"], statement["diff_sha256"]):
            content.report.wrong(member, "The newest revision is not the one that was signed.")
