"""The images: the same bytes each time, kept when up to date, verified, described, and refused with a reason."""

import hashlib
import json
import re
import ssl
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import docker
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from docker.errors import ContainerError

from devstudio_sandbox import Language
from devstudio_sandbox.docker_backend import IMAGES, DockerBackend
from devstudio_sandbox.errors import SandboxError
from devstudio_sandbox.images.__main__ import main
from devstudio_sandbox.images.build import connect, make, recipe_digest
from devstudio_sandbox.images.engine import build_image
from devstudio_sandbox.images.finish import CONTENT_LABEL, SBOM_LABEL
from devstudio_sandbox.images.options import Options
from devstudio_sandbox.images.tools import pins
from devstudio_sandbox.images.verify import faults, read_content

pytestmark = pytest.mark.usefixtures("docker_backend")


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    with closing(connect()) as client:
        yield client


@pytest.fixture
def tags(engine: docker.DockerClient) -> Iterator[Iterator[str]]:
    """Give names for images, and remove these images afterwards."""
    given: list[str] = []

    def names() -> Iterator[str]:
        while True:
            given.append(f"renum-devstudio-test:{uuid4().hex}")
            yield given[-1]

    yield names()
    for name in given:
        if engine.images.list(name=name):
            # By its name: the image itself can be the product's own, byte for byte, and in use.
            engine.images.remove(name, force=True)


def test_what_is_up_to_date_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--if-missing"]) == 0
    assert capsys.readouterr().out.count("is up to date") == 2
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("up to date") == 2
    assert "renum-devstudio-node:latest" in listed


@pytest.mark.parametrize("language", ["python", "node"])
def test_two_builds_of_the_same_inputs_have_the_same_bytes(
    engine: docker.DockerClient, tags: Iterator[str], language: Language
) -> None:
    told: list[str] = []
    first, second = next(tags), next(tags)
    make(engine, language, first, Options(), told.append)
    make(engine, language, second, Options(), told.append, fresh=True)
    one, other = engine.images.get(first), engine.images.get(second)
    assert one.attrs["RootFS"]["Layers"] == other.attrs["RootFS"]["Layers"]
    assert one.id == other.id
    read, _ = read_content(engine, other)
    assert read == one.labels[CONTENT_LABEL]


@pytest.mark.parametrize("language", ["python", "node"])
def test_the_bill_of_materials_is_valid_and_lists_what_is_pinned(
    engine: docker.DockerClient, capsys: pytest.CaptureFixture[str], language: Language
) -> None:
    assert main(["sbom", language]) == 0
    text = capsys.readouterr().out
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert engine.images.get(IMAGES[language]).labels[SBOM_LABEL] == digest
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {(one["purl"].split("/")[0], one["name"]): one for one in json.loads(text)["components"]}
    assert listed["pkg:deb", "git"]["licenses"]
    assert listed["pkg:generic", "python"]["version"].startswith("3.")
    if language == "python":
        wanted = dict(
            line.split(" ")[0].split("==") for line in pins("python")[0].read_text().splitlines() if "==" in line
        )
        there = {name: one["version"] for (kind, name), one in listed.items() if kind == "pkg:pypi"}
        assert {name.replace("_", "-").lower(): version for name, version in there.items()} == wanted
    else:
        kernel = {line.split("==")[0] for line in pins("node")[3].read_text().splitlines() if "==" in line}
        there = {name.replace("_", "-").lower() for kind, name in listed if kind == "pkg:pypi"}
        assert kernel - there == {"pip"}, "what a notebook's kernel needs; pip has only installed it"
        locked = json.loads(pins("node")[2].read_text())["packages"]
        assert listed["pkg:npm", "c8"]["version"] == locked["node_modules/c8"]["version"]
        assert listed["pkg:npm", "npm"]["licenses"] == [{"license": {"id": "Artistic-2.0"}}]


def test_what_the_recipe_built_is_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.count("\tverified\n") == 2


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        ("RUN echo 'import os' >> /usr/bin/pydoc3.11 && true", ["changed: its files"]),
        (
            "RUN python3 -m pip uninstall --yes --break-system-packages --quiet ruff",
            ["changed: its files", "broken: `ruff --version` does not answer", "but not installed: pkg:pypi/ruff@"],
        ),
        ("RUN rm /opt/devstudio/sbom.cdx.json", ["changed: its files", "changed: its bill", "no bill of materials"]),
        ("LABEL renum.devstudio.recipe=another", ["outdated: this version has another recipe"]),
    ],
    ids=["file", "package", "bill", "recipe"],
)
def test_what_was_changed_is_found(
    engine: docker.DockerClient,
    tags: Iterator[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: str,
    found: list[str],
) -> None:
    tag = next(tags)
    dockerfile = f"FROM {IMAGES['python']}\nUSER 0\n{spoil}\nUSER 65532:65532\n"
    build_image(engine, [("Dockerfile", dockerfile.encode(), 0o644)], tag)
    monkeypatch.setitem(IMAGES, "python", tag)  # type: ignore[arg-type]  # it is a dictionary
    assert main(["verify", "python"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{tag}\twrong"
    assert len(told) == 1 + len(found)
    for line, part in zip(told[1:], found, strict=True):
        assert part in line


def test_an_image_that_is_gone_is_told(
    engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(IMAGES, "node", "renum-devstudio-test:gone")  # type: ignore[arg-type]  # it is a dictionary
    assert list(faults(engine, "node")) == ["missing: run `devstudio images build`"]
    assert main(["sbom", "node"]) == 1
    assert "is missing" in capsys.readouterr().err


def test_kernels_of_both_images_speak_with_the_same_packages() -> None:
    def pinned(path: Path) -> set[str]:
        return set(re.findall(r"^\S+==.*(?:\n +--hash.*)+", path.read_text(), re.MULTILINE))

    kernel = pinned(pins("node")[3])
    assert {entry.split("==")[0] for entry in kernel} >= {"ipykernel", "pyzmq", "pip"}
    assert kernel <= pinned(pins("python")[0])


def test_a_base_that_cannot_be_had_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "python", "--base-image", "127.0.0.1:1/no-such-image:1"]) == 1
    assert "leave --base-image away" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "build", "verify", "sbom"])
def test_no_engine_is_told(capsys: pytest.CaptureFixture[str], command: str) -> None:
    argv = [command, "python"] if command != "list" else [command]
    assert main(["--docker-host", "unix:///no/such/docker.sock", *argv]) == 3
    assert "set DOCKER_HOST" in capsys.readouterr().err


def test_each_language_has_a_recipe_of_its_own(docker_backend: DockerBackend) -> None:
    assert docker_backend.status().hint == ""
    assert recipe_digest("python") != recipe_digest("node")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"pip_index": "https://ana:secret@pypi.example/simple"}, "would stay in the image"),
        ({"npm_registry": "file:///etc"}, "no http or https address"),
        ({"debian_mirror": "http://deb.example/debian' ; id '"}, "no http or https address"),
        ({"ca_file": Path(__file__)}, "no certificate in PEM form"),
        ({"ca_file": Path("/no/such/file")}, "no certificate in PEM form"),
    ],
)
def test_options_that_would_break_an_image_are_refused(options: dict[str, str], reason: str) -> None:
    with pytest.raises(SandboxError, match=reason) as refused:
        Options(**options)
    assert "secret" not in str(refused.value)


def test_mirrors_are_written_into_the_image_and_used_to_build_it() -> None:
    options = Options(pip_index="https://pypi.example/simple", npm_registry="https://npm.example/")
    files = {path: data.decode() for path, data, _ in options.files()}
    assert files == {
        "root/etc/pip.conf": "[global]\nindex-url = https://pypi.example/simple\n",
        "root/usr/local/etc/npmrc": "registry=https://npm.example/\n",
    }
    assert options.pip_arguments() == ["--index-url", "https://pypi.example/simple"]
    assert options.npm_arguments() == ["--registry=https://npm.example/"]
    assert json.loads(options.label()) == {
        "npm_registry": "https://npm.example/",
        "pip_index": "https://pypi.example/simple",
    }


USES: dict[Language, str] = {
    "python": (
        "python3 -m pip download -q --no-deps --no-cache-dir -d /tmp --index-url https://localhost:{port}/simple demo"
        " && git ls-remote https://localhost:{port}/demo.git"
    ),
    "node": "npm view demo version --registry https://localhost:{port}/npm/",
}


@pytest.mark.parametrize("language", ["python", "node"])
def test_a_corporate_authority_is_trusted_by_pip_git_and_npm(
    engine: docker.DockerClient, tags: Iterator[str], tmp_path: Path, language: Language
) -> None:
    authority, served = authority_and_server(tmp_path)
    tag = next(tags)
    make(engine, language, tag, Options(ca_file=authority), lambda _line: None)
    with served:
        script = USES[language].format(port=served.server_address[1])

        def run(image: str) -> str:
            told: bytes = engine.containers.run(
                image, ["sh", "-c", script], remove=True, network_mode="host", environment={"HOME": "/tmp"}, user="0"
            )
            return told.decode()

        with pytest.raises(ContainerError, match="certificate"):
            run(IMAGES[language])
        assert ("refs/heads/main" if language == "python" else "1.0.0") in run(tag)
        served.shutdown()


def authority_and_server(folder: Path) -> tuple[Path, ThreadingHTTPServer]:
    """Serve a package index, a repository and a registry over TLS, under an authority that nobody knows."""
    authority = certificate(folder, "ca", None)
    certificate(folder, "localhost", "ca")
    site = folder / "site"
    page = '<a href="demo-1.0.0-py3-none-any.whl">demo-1.0.0-py3-none-any.whl</a>'
    registry = {
        "name": "demo",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {"name": "demo", "version": "1.0.0"}},
    }
    for path, text in {
        "simple/demo/index.html": page,
        "simple/demo/demo-1.0.0-py3-none-any.whl": "",
        "demo.git/info/refs": f"{'1' * 40}\trefs/heads/main\n",
        "demo.git/HEAD": "ref: refs/heads/main\n",
        "npm/demo": json.dumps(registry),
    }.items():
        place = site / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    wheel(site / "simple/demo/demo-1.0.0-py3-none-any.whl")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(site))  # type: ignore[arg-type]  # as socketserver gives them

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "localhost.pem", folder / "localhost.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return authority, server


def wheel(path: Path) -> None:
    """Write the smallest wheel that pip takes."""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("demo-1.0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0.0\n")
        packed.writestr("demo-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr("demo-1.0.0.dist-info/RECORD", "")


def certificate(folder: Path, name: str, issuer: str | None) -> Path:
    """Make a key and a certificate: an authority, or a server's that it signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing, signer = key, subject
    if issuer:
        signing = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)  # type: ignore[assignment]  # ours
        signer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    made = (
        x509.CertificateBuilder(signer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / f"{name}.pem"
