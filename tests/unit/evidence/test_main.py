import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devstudio_evidence.__main__ import main
from devstudio_evidence.keys import Keys, KeysInvalid, read
from devstudio_server.cli import app
from devstudio_server.signing.keys import public_pem
from support.bundle_maker import APPROVAL, BundleMaker, Key


@pytest.fixture
def desk(tmp_path: Path, made_once: BundleMaker) -> Path:
    (tmp_path / "good.tar").write_bytes(made_once.pack())
    (tmp_path / "keys.json").write_text(json.dumps({"items": [made_once.key.row()]}))
    (tmp_path / "other.json").write_text(json.dumps({"items": [Key(5).row()]}))
    return tmp_path


def test_exit_codes_say_what_was_found(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, keys = str(desk / "good.tar"), str(desk / "keys.json")
    assert main(["verify", good, "--key", keys]) == 0
    assert main(["verify", good, "--key", str(desk / "other.json"), "--key", keys]) == 0
    assert main(["verify", good]) == 3
    assert main(["verify", good, "--any-key"]) == 0
    assert main(["verify", good, "--key", str(desk / "other.json")]) == 1
    assert main(["verify", keys, "--key", keys]) == 1
    assert main(["verify", good, "--key", good]) == 2
    assert main(["verify", str(desk / "nothing"), "--key", keys]) == 2
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["sign"])
    assert ended.value.code == 2


def test_the_command_of_the_server_does_the_same(desk: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["evidence", "verify", str(desk / "good.tar"), "--key", str(desk / "keys.json")])
    assert done.exit_code == 0
    assert "holds" in done.output
    assert runner.invoke(app, ["evidence", "verify", str(desk / "good.tar")]).exit_code == 3
    assert runner.invoke(app, ["evidence", "verify", str(desk / "keys.json")]).exit_code == 1
    made = runner.invoke(app, ["evidence", "verifier", str(desk / "v.pyz")])
    assert made.exit_code == 0
    assert (desk / "v.pyz").read_bytes().startswith(b"#!/usr/bin/env python3\nPK")
    assert runner.invoke(app, ["evidence", "verifier", str(desk / "no" / "v.pyz")]).exit_code == 1


def test_the_report_as_json_says_all(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["verify", str(desk / "good.tar"), "--key", str(desk / "keys.json"), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (report["holds"], report["pinned"], report["problems"]) == (True, True, [])
    assert report["tasks"][0]["status"] == "done"


def test_what_a_bundle_says_moves_no_cursor(maker: BundleMaker, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maker.evidence["tasks"][0]["title"] = "\x1b[2J\x1b[1;1Hholds\u202e"
    (desk / "odd.tar").write_bytes(maker.pack())
    assert main(["verify", str(desk / "odd.tar"), "--key", str(desk / "keys.json")]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\\x1b[2J" in said


def test_keys_are_read_in_every_form_in_which_they_are_given() -> None:
    one, two = Key(1), Key(2)
    forms = [
        json.dumps({"items": [one.row()]}),
        json.dumps({"keys": [one.row()]}),
        json.dumps([one.row()]),
        public_pem(one.public),
        one.row()["public_key"],
        one.public.hex(),
    ]
    assert all(read(form).good == {one.id: one.public} for form in forms)
    assert set(read(public_pem(one.public) + public_pem(two.public)).good) == {one.id, two.id}
    revoked = read(json.dumps([one.row(), one.row("revoked"), two.row("retired")]))
    assert (set(revoked.good), revoked.revoked) == ({two.id}, {one.id})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"items": [{}]}',
        '{"items": [{"public_key": "AAAA"}]}',
        '{"items": [{"public_key": "!"}]}',
        json.dumps([{**Key(1).row(), "key_id": "0" * 16}]),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "00" * 31,
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",  # the neutral element: anyone could sign with it
        '{"items": [], "items": []}',
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeysInvalid):
        read(text)


def test_a_key_that_either_side_revoked_is_revoked() -> None:
    one = Key(1)
    good = read(one.public.hex())
    for joined in (good.joined(Keys(revoked={one.id})), Keys(revoked={one.id}).joined(good)):
        assert (joined.good, joined.revoked) == ({}, {one.id})


def test_approvals_of_an_older_revision_are_noted_and_not_counted(maker: BundleMaker, desk: Path) -> None:
    older = "0190ffff-0000-7000-8000-000000000098"
    maker.approvals[older] = {**maker.approvals[APPROVAL], "approval_id": older, "diff_sha256": "1" * 64}
    maker.audited.append(("approval.created", older))
    maker.stood_on = [APPROVAL]
    (desk / "two.tar").write_bytes(maker.pack())
    assert main(["verify", str(desk / "two.tar"), "--key", str(desk / "keys.json")]) == 0
