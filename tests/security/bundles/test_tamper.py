"""A bundle with any byte changed, or put together otherwise, does not verify, and the wrong member is named."""

import json
import random
from collections.abc import Callable

import pytest

from devstudio_evidence import bundle
from devstudio_evidence.bundle import BundleInvalid, pack, read_manifest, unpack
from devstudio_evidence.keys import Keys
from devstudio_evidence.verify import verify
from support.bundle_maker import APPROVAL, PATCH, BundleMaker, Key
from support.real_bundle import RealBundle

BYTES = {"small": 400, "full": None}
"""How many bytes of the real bundle are changed; None is all of them, with each bit of the manifest."""


def test_the_real_bundle_holds(real: RealBundle) -> None:
    report = verify(real.content, real.keys)
    assert [f"{each.member}: {each.said}" for each in (*report.problems, *report.notes)] == []
    assert report.tasks[0]["proven"] == ["1.1", "1.2"]
    assert report.checked["strict proofs"] == 1
    assert report.checked["approvals"] == 1
    assert pack(unpack(real.content)) == real.content


def test_no_byte_of_a_real_bundle_can_be_changed(real: RealBundle, request: pytest.FixtureRequest) -> None:
    wanted = BYTES[str(request.config.getoption("--bench-scale"))]
    dice = random.Random(6)
    size = len(real.content)
    places = range(size) if wanted is None else sorted({0, size - 1, *dice.sample(range(size), wanted)})
    kept = []
    for place in places:
        wrong = bytearray(real.content)
        wrong[place] ^= dice.randint(1, 255)
        report = verify(bytes(wrong), real.keys)
        if report.holds or not report.problems[0].said:
            kept.append(place)
    assert kept == []
    print(f"{len(places)} of {size} bytes changed, one at a time: none verified")


def test_no_bit_of_the_signed_manifest_can_be_flipped(real: RealBundle, request: pytest.FixtureRequest) -> None:
    """Its base64 has bits, its JSON has ways of writing, that a careless reader drops."""
    manifest = unpack(real.content)[bundle.MANIFEST]
    step = 1 if request.config.getoption("--bench-scale") == "full" else 97
    for bit in range(0, len(manifest) * 8, step):
        wrong = bytearray(real.content)
        wrong[512 + bit // 8] ^= 1 << bit % 8
        assert not verify(bytes(wrong), real.keys).holds, bit


def test_nothing_can_be_cut_off_or_added(real: RealBundle) -> None:
    for size in range(0, len(real.content), 509):
        assert not verify(real.content[:size], real.keys).holds, size
    for more in (b"\0", b"\n", bytes(512), bytes(10240), real.content):
        assert not verify(real.content + more, real.keys).holds
        assert not verify(more + real.content, real.keys).holds


Change = Callable[[dict[str, bytes], BundleMaker], str]


def drop_an_approval(members: dict[str, bytes], _made: BundleMaker) -> str:
    del members[f"approvals/{APPROVAL}.json"]
    return f"approvals/{APPROVAL}.json"


def drop_an_audit_entry(members: dict[str, bytes], _made: BundleMaker) -> str:
    lines = members["audit/segment.jsonl"].splitlines(keepends=True)
    members["audit/segment.jsonl"] = b"".join([lines[0], *lines[2:]])
    return "audit/segment.jsonl"


def drop_the_last_audit_entry(members: dict[str, bytes], _made: BundleMaker) -> str:
    members["audit/segment.jsonl"] = b"".join(members["audit/segment.jsonl"].splitlines(keepends=True)[:-1])
    return "audit/segment.jsonl"


def add_a_member(members: dict[str, bytes], _made: BundleMaker) -> str:
    members["approvals/more.json"] = members[f"approvals/{APPROVAL}.json"]
    return "approvals/more.json"


def swap_two_members(members: dict[str, bytes], _made: BundleMaker) -> str:
    one, other = "evidence.json", "policy.json"
    members[one], members[other] = members[other], members[one]
    return one


def rename_a_member(members: dict[str, bytes], _made: BundleMaker) -> str:
    members["evidence2.json"] = members.pop("evidence.json")
    return "evidence.json"


def swap_the_keys(members: dict[str, bytes], _made: BundleMaker) -> str:
    members["keys.json"] = json.dumps({"items": [Key(9).row()]}).encode()
    return "keys.json"


def edit_the_diff(members: dict[str, bytes], _made: BundleMaker) -> str:
    name = f"patches/{PATCH}/diff.patch"
    members[name] = members[name].replace(b"+It adds.", b"+It eats.")
    return name


def edit_the_requirements(members: dict[str, bytes], _made: BundleMaker) -> str:
    members["session/requirements.md"] += b"\n"
    return "session/requirements.md"


def take_an_envelope_of_another_bundle(members: dict[str, bytes], made: BundleMaker) -> str:
    other = made.copy()
    other.patch["model"] = "another"
    members[f"patches/{PATCH}/envelope.json"] = other.members()[f"patches/{PATCH}/envelope.json"]
    return f"patches/{PATCH}/envelope.json"


def take_all_but_the_manifest_of_another_bundle(members: dict[str, bytes], made: BundleMaker) -> str:
    other = made.copy()
    other.approvals[APPROVAL]["user_name"] = "Mallory"
    members.update({name: content for name, content in other.members().items() if name != bundle.MANIFEST})
    return f"approvals/{APPROVAL}.json"


def take_the_manifest_of_another_bundle(members: dict[str, bytes], made: BundleMaker) -> str:
    other = made.copy()
    other.approvals[APPROVAL]["user_name"] = "Mallory"
    members[bundle.MANIFEST] = unpack(other.pack())[bundle.MANIFEST]
    return f"approvals/{APPROVAL}.json"


CHANGES = [
    drop_an_approval,
    drop_an_audit_entry,
    drop_the_last_audit_entry,
    add_a_member,
    swap_two_members,
    rename_a_member,
    swap_the_keys,
    edit_the_diff,
    edit_the_requirements,
    take_an_envelope_of_another_bundle,
    take_all_but_the_manifest_of_another_bundle,
    take_the_manifest_of_another_bundle,
]


def trusted(*keys: Key) -> Keys:
    found = Keys()
    for key in keys:
        found.add(key.public)
    return found


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_was_put_together_otherwise_is_refused_by_member(made: BundleMaker, change: Change) -> None:
    members = unpack(made.pack())
    member = change(members, made)
    for keys in (trusted(made.key), None):
        report = verify(pack(members), keys)
        assert member in {each.member for each in report.problems}, report.problems


@pytest.mark.parametrize("change", CHANGES[:-1], ids=lambda change: change.__name__)
def test_signing_it_all_anew_with_another_key_is_refused(made: BundleMaker, change: Change) -> None:
    """Somebody changes the bundle and signs the manifest with a key of their own, which they put into `keys.json`."""
    members = unpack(made.pack())
    change(members, made)
    thief = Key(9)
    members["keys.json"] = json.dumps({"items": [thief.row(), made.key.row("retired")]}).encode()
    statement = {**read_manifest(members).statement, "members": bundle.listing(without_manifest(members))}
    members[bundle.MANIFEST] = thief.sign(bundle.MANIFEST_TYPE, statement)
    report = verify(pack(members), trusted(made.key))
    assert [each.member for each in report.problems] == [bundle.MANIFEST]
    assert "is not one of the trusted keys" in report.problems[0].said


def test_a_manifest_signed_as_something_else_is_refused(made: BundleMaker) -> None:
    members = unpack(made.pack())
    manifest = read_manifest(members)
    members[bundle.MANIFEST] = made.key.sign("application/vnd.devstudio.patch+json", manifest.statement)
    assert "holds application/vnd.devstudio.patch+json" in verify(pack(members), trusted(made.key)).problems[0].said
    lifted = json.loads(unpack(made.pack())[bundle.MANIFEST])
    lifted["payloadType"] = "application/vnd.devstudio.patch+json"
    members[bundle.MANIFEST] = json.dumps(lifted, sort_keys=True, separators=(",", ":")).encode()
    assert not verify(pack(members), trusted(made.key)).holds


def test_a_manifest_in_other_white_space_is_refused(made: BundleMaker) -> None:
    members = unpack(made.pack())
    members[bundle.MANIFEST] = json.dumps(json.loads(members[bundle.MANIFEST]), sort_keys=True).encode()
    assert "canonical" in verify(pack(members), trusted(made.key)).problems[0].said


def test_a_manifest_of_a_later_format_is_refused(made: BundleMaker) -> None:
    later = made.copy()
    later.manifest["format"] = 2
    assert "format 2" in verify(later.pack(), trusted(made.key)).problems[0].said


@pytest.mark.parametrize("listed", [7, [7], [{"path": "a"}], [{"path": 1, "size": 1, "sha256": ""}]])
def test_a_signed_list_that_is_none_is_refused(made: BundleMaker, listed: object) -> None:
    broken = made.copy()
    broken.manifest["members"] = listed
    assert not verify(broken.pack(), trusted(made.key)).holds


def without_manifest(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in members.items() if name != bundle.MANIFEST}


def test_what_is_no_bundle_is_said_to_be_none() -> None:
    for noise in (b"", b"PK\x03\x04" + bytes(4000), b"\x1f\x8b" + bytes(4000), bytes(4096), b"{}"):
        report = verify(noise, trusted(Key(1)))
        assert not report.holds
        with pytest.raises(BundleInvalid):
            unpack(noise)
