"""The members of a bundle, as the checks read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devstudio_evidence import bundle, dsse, strict_json
from devstudio_evidence.dsse import Envelope, EnvelopeInvalid
from devstudio_evidence.keys import Keys
from devstudio_evidence.report import Report

PATCH_TYPE = "application/vnd.devstudio.patch+json"
APPROVAL_TYPE = "application/vnd.devstudio.approval+json"
EVIDENCE_TYPE = "application/vnd.devstudio.evidence+json"


@dataclass
class Content:
    """A bundle whose members are those of its manifest. What is wrong beyond that goes into ``report``."""

    members: Mapping[str, bytes]
    manifest: Mapping[str, Any]
    keys: Keys
    report: Report
    trees: dict[str, bytes] = field(default_factory=dict)
    _statements: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    def below(self, folder: str) -> list[str]:
        """List what is directly in a folder, files and folders, sorted."""
        start = f"{folder}/"
        return sorted({name[len(start) :].split("/", 1)[0] for name in self.members if name.startswith(start)})

    def left_out(self, name: str) -> bool:
        """Tell whether the signed manifest says that this was left out, and why."""
        return any(entry.get("path") == name for entry in self.manifest.get("left_out", []) if isinstance(entry, dict))

    def json(self, name: str) -> Any:
        """Give a member that is JSON, or None with a problem in the report."""
        try:
            return bundle.read_json(self.members, name)
        except bundle.BundleInvalid as error:
            self.report.wrong(error.member, str(error))
            return None

    def digest(self, name: str) -> str:
        """Give a member's SHA-256, "" where it is not there."""
        return bundle.sha256(self.members[name]) if name in self.members else ""

    def statement(self, name: str, payload_type: str) -> dict[str, Any] | None:
        """Give what a signed member states, or None with a problem in the report when its signature does not hold."""
        if name not in self._statements:
            try:
                self._statements[name] = self._open(name, payload_type)
            except EnvelopeInvalid as error:
                self.report.wrong(name, f"{str(error)[:1].upper()}{str(error)[1:]}.")
                self._statements[name] = None
            else:
                self.report.count("signatures")
        return self._statements[name]

    def _open(self, name: str, payload_type: str) -> dict[str, Any]:
        if name not in self.members:
            raise EnvelopeInvalid("the signed statement is missing")
        try:
            text = self.members[name].decode("ascii")
        except UnicodeDecodeError as error:
            raise EnvelopeInvalid("the envelope is not plain ASCII") from error
        envelope = Envelope.parse(text)
        revoked = [each.keyid for each in envelope.signatures if each.keyid in self.keys.revoked]
        if revoked:
            raise EnvelopeInvalid(f"the key {revoked[0]} that signed it was revoked")
        dsse.verify(envelope, self.keys.good)
        statement = envelope.statement(payload_type)
        if envelope.to_json() != text or strict_json.canonical(statement).encode() != envelope.payload:
            raise EnvelopeInvalid("the envelope is not written in its one canonical way")
        return statement
