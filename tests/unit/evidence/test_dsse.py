import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_evidence import dsse, ed25519
from devstudio_evidence.dsse import Envelope, EnvelopeInvalid, Signature

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
KEYS = {dsse.key_id(PUBLIC): PUBLIC}
TYPE = "application/vnd.devstudio.patch+json"


def sealed(payload: bytes = b'{"a":1}', payload_type: str = TYPE) -> Envelope:
    signature = KEY.sign(dsse.pae(payload_type, payload))
    return Envelope(payload_type, payload, (Signature(dsse.key_id(PUBLIC), signature),))


def test_the_encoding_is_the_one_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_encoding_counts_bytes_and_not_characters() -> None:
    assert dsse.pae("ü", "ä".encode()) == b"DSSEv1 2 \xc3\xbc 2 \xc3\xa4"


def test_an_envelope_is_written_read_and_verified() -> None:
    text = sealed().to_json()
    envelope = Envelope.parse(text)
    assert envelope.to_json() == text
    assert dsse.verify(envelope, KEYS) == dsse.key_id(PUBLIC)
    assert envelope.statement(TYPE) == {"a": 1}


def test_a_signature_for_one_type_is_none_for_another() -> None:
    other = Envelope("application/vnd.devstudio.approval+json", sealed().payload, sealed().signatures)
    with pytest.raises(EnvelopeInvalid, match="does not hold"):
        dsse.verify(other, KEYS)
    with pytest.raises(EnvelopeInvalid, match=r"holds .*approval.*, not .*patch"):
        other.statement(TYPE)


def test_a_key_that_is_not_trusted_is_named() -> None:
    with pytest.raises(EnvelopeInvalid, match=dsse.key_id(PUBLIC)):
        dsse.verify(sealed(), {})


def test_another_key_under_the_same_id_is_refused() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(EnvelopeInvalid, match="does not hold"):
        dsse.verify(sealed(), {dsse.key_id(PUBLIC): other})


def test_no_signature_is_no_verification() -> None:
    with pytest.raises(EnvelopeInvalid, match="no signature"):
        dsse.verify(Envelope(TYPE, b"{}", ()), KEYS)


def test_a_second_signature_has_to_hold_as_well() -> None:
    envelope = sealed()
    doubled = Envelope(TYPE, envelope.payload, (*envelope.signatures, Signature(dsse.key_id(PUBLIC), bytes(64))))
    with pytest.raises(EnvelopeInvalid, match="does not hold"):
        dsse.verify(doubled, KEYS)


def changed(**members: object) -> str:
    return json.dumps({**json.loads(sealed().to_json()), **members})


SIGNED = json.loads(sealed().to_json())["signatures"][0]
BROKEN = {
    "not JSON": ("{", "cannot be read"),
    "a list": ("[]", "exactly the members"),
    "an extra member": (changed(extra=1), "exactly the members"),
    "a member missing": ('{"payload":"","payloadType":"t"}', "exactly the members"),
    "a member twice": (sealed().to_json()[:-1] + ',"payload":"AAAA"}', "there twice"),
    "a signature's member twice": (sealed().to_json().replace('"keyid":', '"keyid":"x","keyid":'), "there twice"),
    "an extra member of a signature": (changed(signatures=[{**SIGNED, "cert": ""}]), "exactly the members"),
    "no signature": (changed(signatures=[]), "1 to 16 signatures"),
    "too many signatures": (changed(signatures=[SIGNED] * 17), "1 to 16 signatures"),
    "signatures of another kind": (changed(signatures={}), "1 to 16 signatures"),
    "base64 without padding": (changed(payload="eyJhIjoxfQ"), "payload is not standard base64"),
    "base64 with bits that are dropped": (changed(payload="eyJhIjoxfR=="), "payload is not standard base64"),
    "base64 with a line break": (changed(payload="eyJhIjox\nfQ=="), "payload is not standard base64"),
    "base64 for URLs": (changed(signatures=[{**SIGNED, "sig": "-_-_"}]), "sig is not standard base64"),
    "a payload of another kind": (changed(payload=1), "payload is not standard base64"),
    "an empty type": (changed(payloadType=""), "payloadType is not"),
    "a type with a line break": (changed(payloadType="a\nb"), "payloadType is not"),
    "a type that is no text": (changed(payloadType="\ud800"), "payloadType is not"),
    "an endless key id": (changed(signatures=[{**SIGNED, "keyid": "k" * 201}]), "keyid is not"),
    "NaN": (changed(payload="").replace('""', "NaN"), "NaN is not JSON"),
    "endless nesting": ("[" * 200_000, "cannot be read"),
    "an endless number": ('{"payload":' + "1" * 10_000 + "}", "cannot be read"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_envelope_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(EnvelopeInvalid, match=why):
        Envelope.parse(text)


def test_an_oversize_envelope_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsse, "LIMIT", 10)
    with pytest.raises(EnvelopeInvalid, match="at most 10 characters"):
        Envelope.parse(sealed().to_json())


@pytest.mark.parametrize("payload", [b"\xff", b"[]", b'{"a":1,"a":2}', b""])
def test_a_signed_payload_that_is_no_object_of_one_meaning_is_no_statement(payload: bytes) -> None:
    with pytest.raises(EnvelopeInvalid, match="signed statement"):
        sealed(payload).statement(TYPE)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_character_is_refused_or_means_the_same_bytes(data: st.DataObject) -> None:
    """White space between members may be written differently; the signed bytes, the type and the key may not."""
    text = sealed().to_json()
    place = data.draw(st.integers(0, len(text) - 1))
    wrong = text[:place] + data.draw(st.characters().filter(lambda c: c != text[place])) + text[place + 1 :]
    try:
        envelope = Envelope.parse(wrong)
        dsse.verify(envelope, KEYS)
    except EnvelopeInvalid:
        return
    assert envelope == sealed()


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_payload_is_carried_byte_for_byte(payload: bytes) -> None:
    envelope = Envelope.parse(sealed(payload).to_json())
    assert envelope.payload == payload
    assert json.loads(envelope.to_json())["payload"] == base64.b64encode(payload).decode()
    dsse.verify(envelope, KEYS)


def test_it_verifies_with_nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ed25519, "exact", None)
    assert dsse.verify(sealed(), KEYS) == dsse.key_id(PUBLIC)
