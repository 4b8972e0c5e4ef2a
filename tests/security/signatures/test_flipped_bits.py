"""One flipped bit anywhere is refused, with a word on what is wrong."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterable, Iterator

import pytest

from devstudio_evidence.dsse import Envelope, Signature
from devstudio_server.patches.envelope_errors import ContentChanged
from devstudio_server.patches.models import Patch
from devstudio_server.signing.errors import SignatureInvalid
from support.patch_cases import Case, altered


def flipped(content: bytes, bits: int) -> Iterator[bytes]:
    """Yield the content with one bit flipped: in every byte ``bits`` of them by chance."""
    chance = random.Random(20261123)
    for at, byte in enumerate(content):
        for bit in chance.sample(range(8), bits):
            yield content[:at] + bytes([byte ^ (1 << bit)]) + content[at + 1 :]


def texts(text: str, bits: int) -> Iterator[str]:
    """Yield the same of a text; what is no UTF-8 any more becomes other characters."""
    for content in flipped(text.encode(), bits):
        yield content.decode("utf-8", "replace")


def all_refused(
    case: Case, said: str, patches: Iterable[Patch], kind: type[SignatureInvalid] = SignatureInvalid
) -> int:
    """Hold that each patch is refused, and that it is said why; return how many there were."""
    count = 0
    with case.checking() as check:
        for patch in patches:
            with pytest.raises(kind, match=said) as caught:
                check(patch)
            assert len(caught.value.detail) > 20
            count += 1
    return count


def test_what_is_not_changed_holds(case: Case) -> None:
    statement = case.check(altered(case.patch))
    assert (statement.patch_id, statement.diff_sha256) == (case.patch.id, case.patch.digest)
    assert case.check_approval(altered(case.approval)).patch_id == case.patch.id


def test_in_the_envelope_of_a_patch(case: Case, bits: int) -> None:
    text = str(case.patch.envelope)
    patches = (altered(case.patch, envelope=changed) for changed in texts(text, bits))
    assert all_refused(case, ".", patches) == len(text.encode()) * bits > 1000


def test_in_the_payload_below_its_base64(case: Case, bits: int) -> None:
    envelope = Envelope.parse(str(case.patch.envelope))
    made = (
        Envelope(envelope.payload_type, payload, envelope.signatures) for payload in flipped(envelope.payload, bits)
    )
    all_refused(case, "is not what the key", (altered(case.patch, envelope=forged.to_json()) for forged in made))


def test_in_the_signature_below_its_base64(case: Case) -> None:
    envelope = Envelope.parse(str(case.patch.envelope))
    (signature,) = envelope.signatures

    def forged(sig: bytes) -> Patch:
        text = Envelope(envelope.payload_type, envelope.payload, (Signature(signature.keyid, sig),)).to_json()
        return altered(case.patch, envelope=text, signature=base64.b64encode(sig).decode())

    assert all_refused(case, "is not what the key", map(forged, flipped(signature.sig, 8))) == 512


def test_in_the_signature_beside_the_envelope(case: Case, bits: int) -> None:
    changed = (altered(case.patch, signature=text) for text in texts(str(case.patch.signature), bits))
    all_refused(case, "not the one in its envelope", changed)


def test_in_the_bytes_of_the_patch(case: Case, bits: int) -> None:
    changed = (altered(case.patch, patch_content=text) for text in texts(case.patch.patch_content, bits))
    all_refused(case, "not those that its digest names", changed, ContentChanged)


@pytest.mark.parametrize("column", ["digest", "base", "result_tree"])
def test_in_the_digest_and_in_the_ids_of_git(case: Case, bits: int, column: str) -> None:
    changed = (altered(case.patch, **{column: text}) for text in texts(str(getattr(case.patch, column)), bits))
    all_refused(case, ".", changed, ContentChanged)


def test_in_the_envelope_of_an_approval(case: Case, bits: int) -> None:
    for changed in texts(str(case.approval.envelope), bits):
        with pytest.raises(SignatureInvalid) as caught:
            case.check_approval(altered(case.approval, envelope=changed))
        assert len(caught.value.detail) > 20


def test_every_member_of_a_statement_is_compared_though_the_servers_key_signed_another(case: Case) -> None:
    statement = case.statement
    for name in statement.keys() - {"required_approvals", "issued_at", "expires_at"}:
        with pytest.raises(SignatureInvalid):
            case.check(case.signed(**{name: _other(statement[name])}))


def _other(value: object) -> object:
    """Return another value of the same form."""
    if isinstance(value, list):
        return [*value, value[0]]
    if isinstance(value, int):
        return value + 1
    return str(value).translate(str.maketrans("0123456789abcdef", "1234567890bcdefa"))
