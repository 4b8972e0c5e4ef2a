import hashlib
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_evidence import ed25519

# RFC 8032, section 7.1: TEST 1, 2, 3 and SHA(abc).
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
            "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
]
# What other verifiers are known to take: the neutral element, points of order 2, 4 and 8, y beyond the prime.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]
TWICE_WRITTEN = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.fixture(params=["cryptography", "nothing installed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "nothing installed":
        monkeypatch.setattr(ed25519, "exact", None)
    return str(request.param)


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_hold(way: str, key: str, message: str, signature: str) -> None:
    ed25519.verify(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_every_flipped_bit_of_a_signature_is_refused(way: str, key: str, message: str, signature: str) -> None:
    for bit in range(0, 512, 7):
        wrong = bytearray.fromhex(signature)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ed25519.SignatureWrong):
            ed25519.verify(bytes.fromhex(key), bytes.fromhex(message), bytes(wrong))


def test_a_signature_with_the_order_added_to_s_is_refused(way: str) -> None:
    key, message, signature = (bytes.fromhex(part) for part in VECTORS[1])
    more = int.from_bytes(signature[32:], "little") + ed25519.ORDER
    with pytest.raises(ed25519.SignatureWrong, match="below the group's order"):
        ed25519.verify(key, message, signature[:32] + more.to_bytes(32, "little"))


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(way: str, key: str) -> None:
    with pytest.raises(ed25519.SignatureWrong, match="small order"):
        ed25519.verify(bytes.fromhex(key), b"anything", bytes.fromhex(SMALL_ORDER[0]) + bytes(32))


@pytest.mark.parametrize("key", TWICE_WRITTEN)
def test_a_key_written_in_a_second_way_is_refused(way: str, key: str) -> None:
    with pytest.raises(ed25519.SignatureWrong, match="one way of writing"):
        ed25519.verify(bytes.fromhex(key), b"anything", bytes(64))


@pytest.mark.parametrize(("key", "signature"), [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(33), bytes(64))])
def test_a_key_of_another_length_is_refused(way: str, key: bytes, signature: bytes) -> None:
    with pytest.raises(ed25519.SignatureWrong, match="32 bytes"):
        ed25519.verify(key, b"", signature)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(way: str, length: int) -> None:
    with pytest.raises(ed25519.SignatureWrong, match="64 bytes"):
        ed25519.verify(bytes.fromhex(VECTORS[0][0]), b"", bytes(length))


def _unchanged(value: bytes) -> bytes:
    return value


@st.composite
def tampers(draw: st.DrawFn, size: int) -> Callable[[bytes], bytes]:
    if draw(st.booleans()):
        return _unchanged
    place, mask = draw(st.integers(0, size - 1)), draw(st.integers(1, 255))
    return lambda value: value[:place] + bytes([value[place] ^ mask]) + value[place + 1 :]


@given(
    seed=st.binary(min_size=32, max_size=32),
    message=st.binary(max_size=200),
    key=tampers(32),
    signature=tampers(64),
    said=st.none() | st.binary(max_size=200),
)
@settings(max_examples=150, deadline=None)
def test_both_ways_say_what_cryptography_says(
    seed: bytes,
    message: bytes,
    key: Callable[[bytes], bytes],
    signature: Callable[[bytes], bytes],
    said: bytes | None,
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = key(private.public_key().public_bytes_raw())
    signed = signature(private.sign(message))
    read = message if said is None else said
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed, read)
        expected = True
    except (InvalidSignature, ValueError):
        expected = False
    assert [_verdict(public, read, signed), _verdict_alone(public, read, signed)] == [expected, expected]


def _verdict(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        ed25519.verify(public, message, signature)
    except ed25519.SignatureWrong:
        return False
    return True


def _verdict_alone(public: bytes, message: bytes, signature: bytes) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ed25519, "exact", None)
        return _verdict(public, message, signature)
