"""`devstudio keys`, as an operator calls it beside a running server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from devstudio_server.cli import app
from devstudio_server.doctor import check_keys
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.keyring import GivenKeys, Keyring
from devstudio_server.signing.signer import Signer

KIND = "application/vnd.devstudio.test+json"
CANARY = "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2E="


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("DEVSTUDIO_SIGNING")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DEVSTUDIO_DATA_DIR", str(tmp_path))
    return tmp_path / "signing"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def statuses() -> list[tuple[str, str]]:
    return [(line.split()[0], line.split()[1]) for line in run("list").output.splitlines()]


def test_listing_makes_no_key(folder: Path) -> None:
    assert (run("list").output, run("list").exit_code, folder.exists()) == ("", 0, False)
    assert run("export").exit_code == 1


def test_a_running_server_signs_with_the_new_key_and_takes_what_the_old_one_signed(folder: Path) -> None:
    server = Signer(Keyring(KeyFolder(folder)))
    before = server.sign(KIND, {"a": 1})
    (old,) = [key_id for key_id, _ in statuses()]
    assert run("rotate").exit_code == 0
    assert [status for _, status in statuses()] == ["active", "retired"]
    assert server.verify(before, KIND) == {"a": 1}
    assert server.open(server.sign(KIND, {}), KIND).key_id != old
    assert run("revoke", old).exit_code == 0
    assert statuses()[1] == (old, "revoked")
    assert run("revoke", "0" * 16).exit_code == 1


def test_exported_keys_verify_on_another_server(folder: Path, tmp_path: Path) -> None:
    text = Signer(Keyring(KeyFolder(folder))).sign(KIND, {"a": 1})
    run("rotate")
    exported = run("export").stdout
    assert "PRIVATE" not in exported
    given = GivenKeys.from_environment({"DEVSTUDIO_SIGNING_KEYS_RETIRED": exported})
    assert Signer(Keyring(KeyFolder(tmp_path / "other"), given)).verify(text, KIND) == {"a": 1}
    assert exported.count("BEGIN PUBLIC KEY") == 2
    assert run("export", statuses()[0][0]).stdout.count("BEGIN PUBLIC KEY") == 1


def test_a_key_of_the_environment_is_rotated_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTUDIO_SIGNING_KEY", CANARY)
    refused = run("rotate")
    assert (refused.exit_code, folder.exists()) == (1, False)
    assert "The key comes from DEVSTUDIO_SIGNING_KEY" in refused.output
    monkeypatch.setenv("DEVSTUDIO_SIGNING_KEY", CANARY + "x")
    broken = run("list")
    assert (broken.exit_code, CANARY in broken.output) == (1, False)


def test_the_doctor_tells_what_is_wrong_with_keys_and_how_to_mend_it(folder: Path) -> None:
    assert check_keys({}, folder).said == "no key yet; the first signature makes one"
    Signer(Keyring(KeyFolder(folder))).sign(KIND, {})
    assert check_keys({}, folder).said.endswith("signs, 0 older")
    (folder / "key-0001.pem").chmod(0o644)
    found = check_keys({}, folder)
    assert (found.state, "its mode is 644" in found.said, str(folder) in found.mend) == ("fail", True, True)
    broken = check_keys({"DEVSTUDIO_SIGNING_KEY": CANARY + "x"}, folder)
    assert (broken.state, CANARY in f"{broken}") == ("fail", False)
