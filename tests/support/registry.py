"""A package index and an npm registry of one package each, over TLS with an authority of their own, on the loopback."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import http.server
import io
import ipaddress
import json
import ssl
import tarfile
import threading
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "registry.test"
PACKAGE = "leased-greeting"
MODULE = "leased_greeting"
WHEEL = f"{MODULE}-1.0.0-py3-none-any.whl"
TARBALL = f"{PACKAGE}-1.0.0.tgz"


def make_wheel() -> bytes:
    """Build a wheel with one module."""
    info = f"{MODULE}-1.0.0.dist-info"
    files = {
        f"{MODULE}.py": "def greet():\n    return 'leased hello'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return made.getvalue()


def make_tarball() -> bytes:
    """Build an npm package with one module."""
    manifest = {"name": PACKAGE, "version": "1.0.0", "main": "index.js"}
    files = {"package.json": json.dumps(manifest), "index.js": "module.exports = () => 'leased hello';\n"}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


class Authority:
    """A certificate authority of a test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "DevStudio test authority")])
        self._cert = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))

    @property
    def pem(self) -> bytes:
        """The authority's own certificate."""
        return self._cert.public_bytes(serialization.Encoding.PEM)

    def context(self, folder: Path, *names: str) -> ssl.SSLContext:
        """Return what a server of these names needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        known = [x509.DNSName(name) for name in names] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        cert = self._signed(subject, key.public_key(), x509.SubjectAlternativeName(known))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / f"{names[0]}.pem"
        file.write_bytes(private + cert.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(self, subject: x509.Name, public: Any, extension: x509.ExtensionType) -> x509.Certificate:
        at = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - dt.timedelta(hours=1))
            .not_valid_after(at + dt.timedelta(days=2))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )
        return builder.sign(self._key, hashes.SHA256())


class Registry:
    """The server; ``GET /endless`` sends bytes until somebody cuts it, which sets ``cut``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority()
        self.ca_file = folder / "authority.pem"
        self.ca_file.write_bytes(self.authority.pem)
        self.asked: list[str] = []
        self.streaming, self.cut = threading.Event(), threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.socket = self.authority.context(folder, NAME).wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = int(self._server.server_address[1])
        self.domain = f"{NAME}:{self.port}"
        self.url = f"https://{self.domain}"

    def environment(self) -> dict[str, str]:
        """Return what an operator would set for a mirror like this one."""
        return {
            "DEVSTUDIO_EGRESS_INTERNAL": json.dumps({NAME: ["127.0.0.1"]}),
            "DEVSTUDIO_EGRESS_CA_FILE": str(self.ca_file),
            "PIP_INDEX_URL": f"{self.url}/simple/",
            "npm_config_registry": f"{self.url}/npm/",
        }

    def lock(self) -> dict[str, Any]:
        """Return the lock file of a project that needs the npm package."""
        needs = {"version": "1.0.0", "resolved": f"{self.url}/npm/-/{TARBALL}", "integrity": self.integrity}
        packages = {"": {"dependencies": {PACKAGE: "1.0.0"}}, f"node_modules/{PACKAGE}": needs}
        return {"name": "app", "lockfileVersion": 3, "requires": True, "packages": packages}

    @cached_property
    def tarball(self) -> bytes:
        """The npm package; gzip writes the time into it, so it is built once."""
        return make_tarball()

    @property
    def integrity(self) -> str:
        """What a lock file says about the npm package."""
        return "sha512-" + base64.b64encode(hashlib.sha512(self.tarball).digest()).decode()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Return type and content of a path."""
        wheel = make_wheel()
        link = f'<a href="{self.url}/files/{WHEEL}#sha256={hashlib.sha256(wheel).hexdigest()}">{WHEEL}</a>'
        dist = {"tarball": f"{self.url}/npm/-/{TARBALL}", "integrity": self.integrity}
        about = {
            "name": PACKAGE,
            "dist-tags": {"latest": "1.0.0"},
            "versions": {"1.0.0": {"name": PACKAGE, "version": "1.0.0", "dist": dist}},
        }
        pages = {
            f"/simple/{PACKAGE}/": ("text/html", f"<!DOCTYPE html><html><body>{link}</body></html>".encode()),
            f"/files/{WHEEL}": ("application/octet-stream", wheel),
            f"/npm/{PACKAGE}": ("application/json", json.dumps(about).encode()),
            f"/npm/-/{TARBALL}": ("application/octet-stream", self.tarball),
        }
        return pages.get(path)

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in the middle; that is what the tests are about."""


def _handler(registry: Registry) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.asked.append(self.path)
            if self.path == "/endless":
                self._stream()
                return
            found = registry.answer(self.path)
            self.send_response(404 if found is None else 200)
            kind, content = found or ("text/plain", b"no such thing\n")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 40))
            self.end_headers()
            registry.streaming.set()
            try:
                while not registry.cut.wait(0.02):
                    self.wfile.write(b"x" * 4096)
                    self.wfile.flush()
            except OSError:
                registry.cut.set()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
