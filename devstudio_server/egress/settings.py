"""What the operator says about egress."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from devstudio_sandbox.egress.clients import authorities
from devstudio_sandbox.egress.proxy import ProxySettings
from devstudio_server.egress.service import LOG_DAYS, MAX_LEASE_HOURS


@dataclass(frozen=True)
class EgressSettings:
    """Where runs may go at all, and how. `proxy` raises ValueError for what cannot be read."""

    lease_hours: float = MAX_LEASE_HOURS
    log_days: int = LOG_DAYS
    internal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    upstream: str = ""
    ca_file: str = ""
    pip_index_url: str = ""
    npm_registry: str = ""

    @classmethod
    def of_environment(cls, env: Mapping[str, str]) -> EgressSettings:
        """Read the environment: the names of the product first, then those that pip, npm and others use."""
        internal = json.loads(env.get("DEVSTUDIO_EGRESS_INTERNAL") or "{}")
        if not isinstance(internal, dict) or not all(isinstance(networks, list) for networks in internal.values()):
            raise ValueError("DEVSTUDIO_EGRESS_INTERNAL is a JSON object with a list of addresses for each name")
        return cls(
            lease_hours=float(env.get("DEVSTUDIO_EGRESS_LEASE_HOURS") or MAX_LEASE_HOURS),
            internal={name: tuple(networks) for name, networks in internal.items()},
            upstream=env.get("DEVSTUDIO_EGRESS_PROXY") or env.get("HTTPS_PROXY") or env.get("https_proxy") or "",
            ca_file=env.get("DEVSTUDIO_EGRESS_CA_FILE") or "",
            pip_index_url=env.get("PIP_INDEX_URL") or "",
            npm_registry=env.get("npm_config_registry") or env.get("NPM_CONFIG_REGISTRY") or "",
        )

    def proxy(self) -> ProxySettings:
        """Return what each proxy is told; raises ValueError for a name, range, URL or file that cannot be read."""
        try:
            own = authorities(Path(self.ca_file)) if self.ca_file else b""
        except OSError as problem:
            raise ValueError(f"{self.ca_file} cannot be read: {problem.strerror}") from problem
        return ProxySettings(self.internal, self.upstream or None, own)

    def secrets(self) -> list[str]:
        """Return the passwords in the addresses, which no log may show."""
        addresses = (self.upstream, self.pip_index_url, self.npm_registry)
        return [urlsplit(address).password or "" for address in addresses]

    def mirrors(self) -> dict[str, str]:
        """Return the addresses of mirrors, by the name of their client."""
        return {name: url for name, url in (("pip", self.pip_index_url), ("npm", self.npm_registry)) if url}
