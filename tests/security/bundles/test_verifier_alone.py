"""The verifier as one file, in an empty environment without pip and without a network, on copies in another folder."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

import pytest

from devstudio_evidence.bundle import pack, unpack
from devstudio_server.cli_evidence import write_verifier
from support.real_bundle import RealBundle

# A user of its own in a network of its own, in which not even the loopback is up.
ALONE = ("unshare", "--map-root-user", "--net", "env", "-i")
PROBE = """
import socket, sys
try:
    import cryptography
except ImportError:
    print("no cryptography")
try:
    socket.create_connection(("127.0.0.1", 80), 2)
except OSError as error:
    print(error.strerror)
print(sorted(name for name in sys.modules if name.startswith(("devstudio", "pydantic"))))
"""


class Elsewhere:
    """A folder with nothing but Python, the verifier, a bundle and the keys."""

    def __init__(self, folder: Path, real: RealBundle) -> None:
        venv.create(folder / "empty", with_pip=False, symlinks=True)
        self.python = folder / "empty" / "bin" / "python"
        self.desk = folder / "desk"
        self.desk.mkdir()
        write_verifier(self.desk / "devstudio-evidence.pyz")
        (self.desk / "keys.json").write_text(real.keys_text)
        self.write("good.tar", real.content)

    def write(self, name: str, content: bytes) -> str:
        (self.desk / name).write_bytes(content)
        return name

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*ALONE, str(self.python), "-I", *arguments]
        return subprocess.run(command, cwd=self.desk, capture_output=True, text=True, check=False, timeout=60)

    def verify(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("devstudio-evidence.pyz", "verify", *arguments)


@pytest.fixture(scope="module")
def elsewhere(real: RealBundle, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    return Elsewhere(tmp_path_factory.mktemp("elsewhere"), real)


def test_there_is_really_nothing(elsewhere: Elsewhere) -> None:
    assert elsewhere.run("-c", PROBE).stdout == "no cryptography\nNetwork is unreachable\n[]\n"


def test_a_good_bundle_holds(elsewhere: Elsewhere) -> None:
    done = elsewhere.verify("good.tar", "--key", "keys.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "good.tar: holds" in done.stdout
    assert "task 1 Write the adder: done; proven: 1.1, 1.2" in done.stdout
    assert "NO KEY" not in done.stdout


def test_without_a_key_it_says_so_and_ends_with_3(elsewhere: Elsewhere, real: RealBundle) -> None:
    done = elsewhere.verify("good.tar")
    assert done.returncode == 3
    assert "NO KEY WAS GIVEN" in done.stdout
    assert json.loads(real.keys_text)["items"][0]["fingerprint"] in done.stdout
    assert elsewhere.verify("good.tar", "--any-key").returncode == 0


def test_bad_ones_are_refused_by_member(elsewhere: Elsewhere, real: RealBundle) -> None:
    members = unpack(real.content)
    for name in (name for name in members if name.startswith(("approvals/", "audit/", "session/req", "patches/"))):
        changed = members[name][:-1] + bytes([members[name][-1] ^ 1])
        done = elsewhere.verify(elsewhere.write("bad.tar", pack({**members, name: changed})), "--key", "keys.json")
        assert done.returncode == 1, name
        assert f"WRONG  {name}: The bytes are not those" in done.stdout
    report = elsewhere.verify("bad.tar", "--key", "keys.json", "--json")
    assert report.returncode == 1
    assert json.loads(report.stdout)["holds"] is False


def test_a_changed_byte_is_refused(elsewhere: Elsewhere, real: RealBundle) -> None:
    for place in range(7, len(real.content), len(real.content) // 8):
        wrong = bytearray(real.content)
        wrong[place] ^= 0x20
        done = elsewhere.verify(elsewhere.write("bad.tar", bytes(wrong)), "--key", "keys.json")
        assert done.returncode == 1, place
        assert "DOES NOT HOLD" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing.tar", "--key", "keys.json"),
        ("good.tar", "--key", "nothing.json"),
        ("good.tar", "--key", "good.tar"),
        ("good.tar", "--kee", "keys.json"),
        (),
    ],
)
def test_a_wrong_call_ends_with_2(elsewhere: Elsewhere, arguments: tuple[str, ...]) -> None:
    done = elsewhere.verify(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_the_verifier_is_the_same_file_each_time(elsewhere: Elsewhere, tmp_path: Path) -> None:
    write_verifier(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == (elsewhere.desk / "devstudio-evidence.pyz").read_bytes()
