"""Verifies a bundle: everything in it, and how it hangs together. No server, no network, nothing installed."""

from __future__ import annotations

from devstudio_evidence import bundle, dsse, keys
from devstudio_evidence.bundle import BundleInvalid, Manifest
from devstudio_evidence.check_approvals import check_approvals
from devstudio_evidence.check_audit import check_audit
from devstudio_evidence.check_objects import check_objects
from devstudio_evidence.check_patches import check_patches
from devstudio_evidence.check_runs import check_runs
from devstudio_evidence.check_tasks import check_tasks
from devstudio_evidence.content import Content
from devstudio_evidence.dsse import EnvelopeInvalid
from devstudio_evidence.keys import Keys, KeysInvalid
from devstudio_evidence.report import Report

KEYS = "keys.json"
SUBJECT = ("subject", "tenant_id", "project_id", "session_id", "task_id", "issued_at", "version")
_CHECKS = (check_objects, check_patches, check_approvals, check_runs, check_tasks, check_audit)


def verify(data: bytes, trusted: Keys | None = None) -> Report:
    """Verify a bundle's bytes.

    With ``trusted``, the manifest has to be signed by one of these keys, and vouches for the keys inside. Without,
    the bundle is only held against itself: anyone can make one that is consistent, so `Report.pinned` is false.
    """
    report = Report(pinned=trusted is not None)
    try:
        members = bundle.unpack(data)
        manifest = bundle.read_manifest(members)
    except BundleInvalid as error:
        report.wrong(error.member, str(error))
        return report
    wrong = bundle.compare(manifest, members)
    for each in wrong:
        report.wrong(each.member, str(each))
    inside = _read_keys(members, report)
    _check_signature(manifest, inside if trusted is None else trusted, report)
    if report.problems:
        return report  # what else is in it is not what was signed, and says nothing
    return _check_content(members, manifest, inside if trusted is None else trusted.joined(inside), report)


def _read_keys(members: dict[str, bytes], report: Report) -> Keys:
    try:
        return keys.read(members[KEYS].decode("utf-8"))
    except KeyError:
        report.wrong(KEYS, "This member is missing.")
    except (UnicodeDecodeError, KeysInvalid) as error:
        report.wrong(KEYS, f"The public keys cannot be read: {error}.")
    return Keys()


def _check_signature(manifest: Manifest, trusted: Keys, report: Report) -> None:
    signer = manifest.envelope.signatures[0].keyid
    if signer in trusted.revoked:
        report.wrong(bundle.MANIFEST, f"The key {signer} that signed the manifest was revoked.")
        return
    try:
        report.key_id = dsse.verify(manifest.envelope, trusted.good)
        report.fingerprint = bundle.sha256(trusted.good[report.key_id])
    except EnvelopeInvalid as error:
        report.wrong(bundle.MANIFEST, f"The manifest's signature does not count: {error}.")


def _check_content(members: dict[str, bytes], manifest: Manifest, trusted: Keys, report: Report) -> Report:
    with report.reading(bundle.MANIFEST):
        report.subject = {name: manifest.statement[name] for name in SUBJECT}
        for entry in manifest.statement["left_out"]:
            report.note(str(entry["path"]), f"Left out: {entry['why']}")
        content = Content(members, manifest.statement, trusted, report)
        for check in _CHECKS:
            with report.reading(check.__name__):
                check(content)
    return report
