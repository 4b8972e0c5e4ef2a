"""Envelopes that are well made and not this patch's: other keys, other patches, other times, other forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devstudio_evidence.dsse import Envelope, Signature, pae
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.envelope_errors import (
    ApprovalUnsigned,
    ContentChanged,
    PatchUnsigned,
    SignatureExpired,
    WrongBranch,
    WrongPatch,
)
from devstudio_server.patches.envelope_statements import APPROVAL_TYPE, PATCH_TYPE
from devstudio_server.patches.models import Patch
from devstudio_server.signing.errors import KeyRevoked, KeyUnknown, SignatureInvalid
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.keyring import Keyring
from devstudio_server.signing.signer import Signer
from devstudio_server.web import Ports
from support.patch_cases import Case, altered

Forge = Callable[[Case], Patch]


def parsed(case: Case) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(str(case.patch.envelope))
    return members


def written(members: dict[str, Any]) -> str:
    return json.dumps(members, sort_keys=True, separators=(",", ":"))


def doubled(case: Case) -> Patch:
    text = str(case.patch.envelope)
    return case.with_envelope('{"payload":"e30=",' + text[1:])


def second_signature(case: Case) -> Patch:
    envelope = Envelope.parse(str(case.patch.envelope))
    return case.with_envelope(Envelope(envelope.payload_type, envelope.payload, envelope.signatures * 2).to_json())


def without_signatures(case: Case) -> Patch:
    return case.with_envelope(written(parsed(case) | {"signatures": []}))


def empty_signature(case: Case) -> Patch:
    (signature,) = parsed(case)["signatures"]
    return case.with_envelope(written(parsed(case) | {"signatures": [signature | {"sig": ""}]}))


def other_type_by_name(case: Case) -> Patch:
    return case.with_envelope(written(parsed(case) | {"payloadType": APPROVAL_TYPE}))


def other_type_signed(case: Case) -> Patch:
    return case.signed(kind=APPROVAL_TYPE)


def other_type_relabelled(case: Case) -> Patch:
    """Signed as an approval, and said to be a patch."""
    members = json.loads(str(case.signed(kind=APPROVAL_TYPE).envelope))
    return case.with_envelope(written(members | {"payloadType": PATCH_TYPE}))


def extra_member(case: Case) -> Patch:
    return case.with_envelope(written(parsed(case) | {"note": "harmless"}))


def extra_member_signed(case: Case) -> Patch:
    return case.signed(note="harmless")


def missing_member_signed(case: Case) -> Patch:
    return case.with_envelope(
        case.signer.sign(PATCH_TYPE, {name: value for name, value in case.statement.items() if name != "branch"})
    )


def loose_base64(case: Case) -> Patch:
    payload = parsed(case)["payload"]
    return case.with_envelope(written(parsed(case) | {"payload": payload[:40] + "\n" + payload[40:]}))


def url_base64(case: Case) -> Patch:
    (signature,) = parsed(case)["signatures"]
    sig = base64.urlsafe_b64encode(base64.b64decode(signature["sig"])).decode().rstrip("=")
    return case.with_envelope(written(parsed(case) | {"signatures": [signature | {"sig": sig}]}))


def spaced(case: Case) -> Patch:
    return case.with_envelope(json.dumps(parsed(case), sort_keys=True))


def loose_payload(case: Case) -> Patch:
    """Signed by the server's key, and not in the one form of a statement."""
    key = case.signer.keys.active()
    payload = json.dumps(case.statement, indent=1).encode()
    assert key.private is not None
    signature = Signature(key.id, key.private.sign(pae(PATCH_TYPE, payload)))
    return case.with_envelope(Envelope(PATCH_TYPE, payload, (signature,)).to_json())


def other_spelling_of_an_id(case: Case) -> Patch:
    return case.signed(patch_id=str(case.patch.id).upper())


FORGED: list[tuple[Forge, type[SignatureInvalid], str]] = [
    (doubled, SignatureInvalid, "is there twice"),
    (second_signature, SignatureInvalid, "has 2 signatures"),
    (without_signatures, SignatureInvalid, "needs 1 to"),
    (empty_signature, SignatureInvalid, "is not what the key"),
    (other_type_by_name, SignatureInvalid, "is needed"),
    (other_type_signed, SignatureInvalid, "is needed"),
    (other_type_relabelled, SignatureInvalid, "is not what the key"),
    (extra_member, SignatureInvalid, "has exactly the members"),
    (extra_member_signed, SignatureInvalid, "note is wrong"),
    (missing_member_signed, SignatureInvalid, "branch is wrong"),
    (loose_base64, SignatureInvalid, "is not standard base64"),
    (url_base64, SignatureInvalid, "is not standard base64"),
    (spaced, SignatureInvalid, "not written in its one form"),
    (loose_payload, SignatureInvalid, "not written in its one form"),
    (other_spelling_of_an_id, SignatureInvalid, "not written as this version writes it"),
    (lambda case: case.signed(branch="release"), WrongBranch, "signed for the branch release, not for main"),
    (lambda case: altered(case.patch, branch="release"), WrongBranch, "signed for the branch main, not for release"),
    (lambda case: case.signed(tenant_id=str(new_id())), WrongPatch, "another tenant"),
    (lambda case: case.signed(project_id=str(new_id())), WrongPatch, "another project"),
    (lambda case: case.signed(patch_id=str(new_id())), WrongPatch, "another patch"),
    (lambda case: altered(case.patch, revision=2), WrongPatch, "another revision"),
    (lambda case: altered(case.patch, task_id=new_id()), WrongPatch, "another task"),
    (lambda case: case.signed(expires_at="2026-01-01T00:00:00Z"), SignatureExpired, "was good until 2026-01-01"),
    (lambda case: altered(case.patch, created_by=new_id()), ContentChanged, "its author changed"),
    (lambda case: altered(case.patch, model="another"), ContentChanged, "the model that made it changed"),
    (lambda case: case.signed(contributors=[]), ContentChanged, "who had a hand in it changed"),
    (lambda case: case.signed(files=[]), ContentChanged, "what it does to files changed"),
    (lambda case: altered(case.patch, envelope=None), PatchUnsigned, "made before patches were signed"),
    (lambda case: altered(case.patch, envelope=""), SignatureInvalid, "is not JSON"),
    (lambda case: altered(case.patch, envelope="[" * 100_000), SignatureInvalid, "nested too deeply"),
]


@pytest.mark.parametrize(("forge", "kind", "said"), FORGED, ids=[f"{n}-{entry[2]}" for n, entry in enumerate(FORGED)])
def test_a_forged_envelope_is_refused_by_name(
    case: Case, forge: Forge, kind: type[SignatureInvalid], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        case.check(forge(case))
    assert type(caught.value) is kind


def test_the_envelope_of_another_patch_is_refused(case: Case) -> None:
    with case.domain.patches() as patches:
        text = str(patches.get(case.other).envelope)
    with pytest.raises(WrongPatch, match="another patch"):
        case.check(case.with_envelope(text))


def test_both_bytes_and_digest_changed_alike_are_refused(case: Case) -> None:
    with case.domain.patches() as patches:
        other = patches.get(case.other)
        changed = {name: getattr(other, name) for name in ("patch_content", "digest", "result_tree", "files")}
    with pytest.raises(ContentChanged, match="its bytes changed since"):
        case.check(altered(case.patch, **changed))


def test_another_servers_key_is_unknown_even_under_the_name_of_ours(case: Case, tmp_path: Path) -> None:
    foreign = Signer(Keyring(KeyFolder(tmp_path)))
    with pytest.raises(KeyUnknown, match="none of this server's"):
        case.check(case.signed(signer=foreign))
    envelope = Envelope.parse(str(case.signed(signer=foreign).envelope))
    named = Signature(case.signer.keys.active().id, envelope.signatures[0].sig)
    with pytest.raises(SignatureInvalid, match="is not what the key"):
        case.check(case.with_envelope(Envelope(PATCH_TYPE, envelope.payload, (named,)).to_json()))


def test_a_retired_key_holds_and_a_revoked_one_does_not(case: Case, tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    signer = Signer(Keyring(folder))
    patch = case.signed(signer=signer)
    ours, case.domain.ports = case.domain.ports, _with(case, signer)
    try:
        folder.rotate()
        assert case.check(patch).patch_id == patch.id
        folder.revoke(signer.open(str(patch.envelope), PATCH_TYPE).key_id)
        with pytest.raises(KeyRevoked, match="was revoked"):
            case.check(patch)
    finally:
        case.domain.ports = ours


def _with(case: Case, signer: Signer) -> Any:
    ports = Ports()
    ports._instances = {**case.domain.ports._instances, Signer: signer}
    return ports


def test_an_approval_of_another_person_patch_or_envelope_is_refused(case: Case) -> None:
    refused: list[tuple[dict[str, Any], type[SignatureInvalid]]] = [
        ({"envelope": None}, ApprovalUnsigned),
        ({"envelope": case.patch.envelope}, SignatureInvalid),
        ({"user_id": new_id()}, ContentChanged),
        ({"user_name": "Mallory"}, ContentChanged),
        ({"self_reviewed": False}, ContentChanged),
        ({"revision": 2}, ContentChanged),
        ({"digest": "0" * 64}, ContentChanged),
        ({"id": new_id()}, WrongPatch),
    ]
    for changes, kind in refused:
        with pytest.raises(kind):
            case.check_approval(altered(case.approval, **changes))
    with case.domain.patches() as patches:
        other = patches.get(case.other)
    with pytest.raises(WrongPatch):
        case.check_approval(altered(case.approval, patch_id=other.id), other)
    with pytest.raises(ContentChanged, match="signed anew since"):
        case.check_approval(case.approval, case.signed(expires_at="2036-01-01T00:00:00Z"))
