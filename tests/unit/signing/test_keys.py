"""Keys of the server: made once, guarded by mode and owner, rotated while servers run."""

from __future__ import annotations

import base64
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from devstudio_server.signing.errors import KeyRevoked, KeyUnknown, SigningKeyUnusable
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.keyring import GivenKeys, Keyring
from devstudio_server.signing.keys import private_pem, public_pem, raw_public
from devstudio_server.signing.schemas import KeyStatus
from devstudio_server.signing.signer import Signer

KIND = "application/vnd.devstudio.test+json"


def signer(folder: Path, **environment: str) -> Signer:
    return Signer(Keyring(KeyFolder(folder), GivenKeys.from_environment(environment)))


def seed(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()


def test_nothing_is_made_before_the_first_use_and_then_one_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "signing"
    first = signer(folder)
    assert not folder.exists()
    text = first.sign(KIND, {"a": 1})
    assert [path.name for path in folder.iterdir()] == ["key-0001.pem"]
    assert (folder / "key-0001.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert signer(folder).verify(text, KIND) == {"a": 1}


def test_of_many_servers_that_start_at_once_one_makes_the_key(tmp_path: Path) -> None:
    count, gate = 16, threading.Barrier(16)

    def start(_number: int) -> str:
        one = signer(tmp_path / "signing")
        gate.wait()
        return one.sign(KIND, {"a": 1})

    with ThreadPoolExecutor(count) as pool:
        texts = set(pool.map(start, range(count)))
    assert len(texts) == 1  # Ed25519 signs alike with one key
    assert [path.name for path in (tmp_path / "signing").iterdir()] == ["key-0001.pem"]


@pytest.mark.parametrize(("mode", "said"), [(0o644, "read"), (0o640, "read"), (0o604, "read"), (0o660, "read")])
def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path, mode: int, said: str) -> None:
    signer(tmp_path).sign(KIND, {})
    (tmp_path / "key-0001.pem").chmod(mode)
    with pytest.raises(SigningKeyUnusable, match=f"may be {said} by others: its mode is {mode:o}.*chmod 600"):
        signer(tmp_path).sign(KIND, {})


@pytest.mark.parametrize("name", ["key-0001.pem", "key-0001.retired.pem"])
def test_a_link_in_the_place_of_a_key_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "signing"
    folder.mkdir(mode=0o700)
    (tmp_path / "own.pem").write_bytes(private_pem(Ed25519PrivateKey.generate()))
    (tmp_path / "own.pem").chmod(0o600)
    (folder / name).symlink_to(tmp_path / "own.pem")
    with pytest.raises(SigningKeyUnusable, match="it is a link"):
        signer(folder).sign(KIND, {})


def test_a_folder_that_is_a_link_or_that_others_may_write_is_refused(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    signer(real).sign(KIND, {})
    link.symlink_to(real)
    with pytest.raises(SigningKeyUnusable, match="The folder of the signing keys is a link"):
        signer(link).sign(KIND, {})
    real.chmod(0o770)
    with pytest.raises(SigningKeyUnusable, match="folder of the signing keys may be written by others"):
        signer(real).sign(KIND, {})


@pytest.mark.parametrize("what", ["key-0001.pem", "."])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "signing"
    signer(folder).sign(KIND, {})
    if os.geteuid() == 0:
        os.chown(folder / what, 4711, 4711)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(SigningKeyUnusable, match="belongs to another user"):
        signer(folder).sign(KIND, {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither PEM nor 32 bytes"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key in PEM"),
        (
            X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "none of Ed25519",
        ),
    ],
)
def test_a_file_without_a_key_is_refused_by_name_and_nothing_of_it_is_told(
    tmp_path: Path, content: bytes, said: str
) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "key-0001.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SigningKeyUnusable, match=f"key-0001.pem cannot be used.*{said}") as refused:
        signer(tmp_path).sign(KIND, {})
    assert len(content) < 5 or content.decode().splitlines()[1] not in refused.value.detail
    assert path.read_bytes() == content  # nothing is made in its place


def test_rotation_is_seen_by_a_running_server_and_what_was_signed_before_still_holds(tmp_path: Path) -> None:
    running = signer(tmp_path)
    old = running.sign(KIND, {"a": 1})
    newest = KeyFolder(tmp_path).rotate()
    new = running.sign(KIND, {"a": 1})
    assert running.open(new, KIND).key_id == newest.id
    assert running.open(old, KIND).key_id != newest.id
    assert [key.status for key in running.public_keys()] == [KeyStatus.ACTIVE, KeyStatus.RETIRED]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key-0001.retired.pem", "key-0002.pem"]
    assert b"PRIVATE" not in (tmp_path / "key-0001.retired.pem").read_bytes()


def test_servers_go_on_signing_while_keys_are_rotated(tmp_path: Path) -> None:
    done, texts, servers = threading.Event(), [], [signer(tmp_path) for _ in range(2)]
    servers[0].sign(KIND, {})

    def work(server: Signer) -> None:
        while not done.is_set():
            texts.append(server.sign(KIND, {"a": 1}))

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work, server) for server in servers]
        for _ in range(10):
            KeyFolder(tmp_path).rotate()
        done.set()
        for one in working:
            one.result()
    fresh = signer(tmp_path)
    assert all(fresh.verify(text, KIND) == {"a": 1} for text in set(texts))
    assert sum(key.status is KeyStatus.ACTIVE for key in fresh.public_keys()) == 1


def test_a_revoked_key_signs_and_verifies_no_more(tmp_path: Path) -> None:
    running = signer(tmp_path)
    text = running.sign(KIND, {"a": 1})
    stolen = running.open(text, KIND).key_id
    revoked = KeyFolder(tmp_path).revoke(stolen)
    assert revoked is not None
    assert revoked.status is KeyStatus.REVOKED
    with pytest.raises(KeyRevoked, match=f"{stolen}.*was revoked"):
        running.verify(text, KIND)
    assert running.verify(running.sign(KIND, {}), KIND) == {}
    assert [key.status for key in running.public_keys()] == [KeyStatus.ACTIVE, KeyStatus.REVOKED]
    assert KeyFolder(tmp_path).revoke("0" * 16) is None


@pytest.mark.parametrize("form", ["seed", "pem", "written out"])
def test_a_key_from_the_environment_signs_and_makes_no_file(tmp_path: Path, form: str) -> None:
    key = Ed25519PrivateKey.generate()
    pem = private_pem(key).decode()
    text = {"seed": seed(key), "pem": pem, "written out": pem.replace("\n", "\\n")}[form]
    one = signer(tmp_path / "none", DEVSTUDIO_SIGNING_KEY=text)
    assert one.public_keys()[0].public == raw_public(key)
    assert one.verify(one.sign(KIND, {"a": 1}), KIND) == {"a": 1}
    assert not (tmp_path / "none").exists()


def test_retired_and_revoked_keys_come_from_the_environment_too(tmp_path: Path) -> None:
    old, older, new = (Ed25519PrivateKey.generate() for _ in range(3))
    texts = [signer(tmp_path, DEVSTUDIO_SIGNING_KEY=seed(key)).sign(KIND, {"a": 1}) for key in (old, older)]
    alone = signer(tmp_path, DEVSTUDIO_SIGNING_KEY=seed(new))
    with pytest.raises(KeyUnknown, match="none of this server's"):
        alone.verify(texts[0], KIND)
    retired = f"{public_pem(raw_public(old))}\n{base64.b64encode(raw_public(older)).decode()}"
    given = {"DEVSTUDIO_SIGNING_KEY": seed(new), "DEVSTUDIO_SIGNING_KEYS_RETIRED": retired}
    assert [signer(tmp_path, **given).verify(text, KIND) for text in texts] == [{"a": 1}] * 2
    ids = [key.id for key in signer(tmp_path, **given).public_keys()]
    given["DEVSTUDIO_SIGNING_KEYS_REVOKED"] = ids[1]
    with pytest.raises(KeyRevoked):
        signer(tmp_path, **given).verify(texts[0], KIND)
    given["DEVSTUDIO_SIGNING_KEYS_REVOKED"] = ids[0]
    with pytest.raises(SigningKeyUnusable, match="The key that signs is revoked"):
        signer(tmp_path, **given).sign(KIND, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVSTUDIO_SIGNING_KEY", "c2VjcmV0IHRleHQ="),
        ("DEVSTUDIO_SIGNING_KEY", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"),
        ("DEVSTUDIO_SIGNING_KEYS_RETIRED", "c2VjcmV0IHRleHQ="),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot be read") as refused:
        signer(tmp_path, **{name: value})
    assert "c2VjcmV0" not in str(refused.value)


def test_no_key_shows_its_private_half(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    given = GivenKeys.from_environment({"DEVSTUDIO_SIGNING_KEY": seed(key)})
    ring = Keyring(KeyFolder(tmp_path), given)
    shown = f"{given!r} {ring.active()!r} {ring.active().read()!r}"
    assert seed(key) not in shown
    assert "PrivateKey" not in shown
