import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_evidence import bundle
from devstudio_evidence.bundle import BundleInvalid, pack, unpack

MEMBERS = {"manifest.json": b"{}", "README.txt": b"read me\n", "a/b.json": b"x" * 512, "a/c.json": b"", "z": b"1"}

names = st.from_regex(r"[a-zA-Z0-9][a-z0-9._-]{0,6}(/[a-z0-9][a-z0-9._-]{0,6}){0,3}", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=1100), max_size=8), st.binary(max_size=600))
@settings(deadline=None)
def test_what_is_written_is_read_and_written_again_the_same(members: dict[str, bytes], manifest: bytes) -> None:
    packed = pack({**members, "manifest.json": manifest})
    read = unpack(packed)
    assert read == {**members, "manifest.json": manifest}
    assert list(read) == ["manifest.json", *sorted(set(members) - {"manifest.json"})]
    assert pack(dict(reversed(read.items()))) == packed


def test_any_tool_unpacks_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(MEMBERS))) as opened:
        found = {each.name: opened.extractfile(each).read() for each in opened.getmembers()}  # type: ignore[union-attr]
        assert all(each.isreg() and each.mode == 0o644 and each.mtime == 0 for each in opened.getmembers())
    assert found == MEMBERS


def test_every_changed_byte_of_the_container_is_found() -> None:
    packed = pack(MEMBERS)
    for place in range(len(packed)):
        for mask in (0x01, 0x80, 0xFF):
            wrong = bytearray(packed)
            wrong[place] ^= mask
            with suppress(BundleInvalid):
                assert unpack(bytes(wrong)) != MEMBERS, place


@given(st.binary(max_size=3000))
@settings(deadline=None)
def test_noise_is_no_bundle(noise: bytes) -> None:
    with pytest.raises(BundleInvalid):
        unpack(noise)


def entry(name: str = "a", content: bytes = b"x", **changes: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as opened:
        opened.addfile(info, io.BytesIO(content))
    return made.getvalue()[: 512 + -(-len(content) // 512) * 512]


MANIFEST = pack({"manifest.json": b"{}"})[:-1024]
GOOD = pack({"manifest.json": b"{}", "a": b"x"})
END = bytes(1024)
BROKEN = {
    "nothing": (b"", "ends without the end"),
    "only an end": (END, "no manifest"),
    "no manifest": (pack(MEMBERS)[1024:], "first member is not the manifest"),
    "a byte more": (GOOD + b"\0", "two empty blocks and nothing more"),
    "a record's padding": (GOOD + bytes(10240 - len(GOOD)), "two empty blocks and nothing more"),
    "half an end": (GOOD[:-512], "two empty blocks and nothing more"),
    "a second file behind it": (GOOD + GOOD, "two empty blocks and nothing more"),
    "cut in a member": (GOOD[: 1024 + 512], "middle of this member"),
    "cut in a header": (GOOD[: 1024 + 100], "ends without the end"),
    "a member twice": (MANIFEST + 2 * GOOD[1024:2048] + END, "each there once and in order"),
    "a manifest twice": (MANIFEST + MANIFEST + END, "each there once and in order"),
    "out of order": (MANIFEST + entry("b") + GOOD[1024:2048] + END, "each there once and in order"),
    "another mode": (MANIFEST + entry(mode=0o755) + END, "no header"),
    "another time": (MANIFEST + entry(mtime=1) + END, "no header"),
    "another owner": (MANIFEST + entry(uid=1) + END, "no header"),
    "a name of an owner": (MANIFEST + entry(uname="root") + END, "no header"),
    "a link": (MANIFEST + entry(content=b"", type=tarfile.SYMTYPE, linkname="/etc/passwd") + END, "no header"),
    "a hard link": (MANIFEST + entry(content=b"", type=tarfile.LNKTYPE, linkname="manifest.json") + END, "no header"),
    "a device": (MANIFEST + entry(content=b"", type=tarfile.CHRTYPE) + END, "no header"),
    "a folder": (MANIFEST + entry("a", content=b"", type=tarfile.DIRTYPE) + END, "no header"),
    "a path up": (MANIFEST + entry("../a") + END, "no header"),
    "an absolute path": (MANIFEST + entry("/a") + END, "no header"),
    "a path with a backslash": (MANIFEST + entry("a\\b") + END, "no header"),
    "a hidden name": (MANIFEST + entry(".a") + END, "no header"),
    "a name in Greek": (MANIFEST + entry("\N{GREEK SMALL LETTER ALPHA}") + END, "no header"),
    "padding with a message": (GOOD[: 1024 + 512 + 1] + b"psst" + GOOD[1024 + 512 + 5 :], "bytes between"),
}


@pytest.mark.parametrize(("data", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_what_we_would_not_write_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(BundleInvalid, match=why):
        unpack(data)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(MEMBERS)
    monkeypatch.setattr(bundle, "MOST_MEMBERS", 4)
    for refused in (lambda: pack(MEMBERS), lambda: unpack(packed)):
        with pytest.raises(BundleInvalid, match="at most 4 members"):
            refused()
    monkeypatch.setattr(bundle, "LIMIT", 100)
    for refused in (lambda: pack({"manifest.json": b""}), lambda: unpack(packed)):
        with pytest.raises(BundleInvalid, match="100"):
            refused()


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "..", "a/../b", ".git/x", "a b", "x" * 101, "a\n"])
def test_a_name_that_could_lead_astray_is_not_written(name: str) -> None:
    with pytest.raises(BundleInvalid, match="no name of a member"):
        pack({"manifest.json": b"", name: b""})
