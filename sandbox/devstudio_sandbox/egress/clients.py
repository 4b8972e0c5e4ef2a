"""What tells the usual clients in a sandbox where the proxy is, whom to trust, and which mirror to ask."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from devstudio_sandbox.base import EGRESS
from devstudio_sandbox.egress.proxy import CA_FILE
from devstudio_sandbox.supervisor.forward import PORT

PROXY_URL = f"http://127.0.0.1:{PORT}"
LOCAL = "127.0.0.1,localhost,::1"


def proxy_environment(*, own_authorities: bool, mirrors: Mapping[str, str]) -> dict[str, str]:
    """Return variables for commands: of curl, Python, pip, Node and npm.

    ``own_authorities`` says that the proxy's directory has a file of certificates; ``mirrors`` are addresses by the
    name of their client, ``pip`` or ``npm``.
    """
    env = {
        "HTTP_PROXY": PROXY_URL,
        "HTTPS_PROXY": PROXY_URL,
        "http_proxy": PROXY_URL,
        "https_proxy": PROXY_URL,
        "NO_PROXY": LOCAL,
        "no_proxy": LOCAL,
        "PIP_PROXY": PROXY_URL,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "npm_config_proxy": PROXY_URL,
        "npm_config_https_proxy": PROXY_URL,
        "npm_config_noproxy": LOCAL,
        "npm_config_offline": "false",
        "NODE_USE_ENV_PROXY": "1",  # Node 24 and newer: fetch() and http take the proxy from the environment
    }
    if own_authorities:
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")
        env |= dict.fromkeys((*names, "NODE_EXTRA_CA_CERTS", "npm_config_cafile"), f"{EGRESS}/{CA_FILE}")
    if "pip" in mirrors:
        env["PIP_INDEX_URL"] = mirrors["pip"]
    if "npm" in mirrors:
        env["npm_config_registry"] = mirrors["npm"]
    return env


def authorities(own: Path) -> bytes:
    """Return the certificates that this machine trusts, and those in ``own``, which is a file of the operator."""
    system = ssl.get_default_verify_paths().cafile
    known = Path(system).read_bytes() if system and Path(system).is_file() else b""
    return known.rstrip() + b"\n" + own.read_bytes()
