"""What the operator says about egress, as traits; a process without Jupyter reads the same from the environment."""

from __future__ import annotations

import os

from traitlets import Dict, Float, Int, Unicode, default
from traitlets.config import Configurable

from devstudio_server.auth.errors import SettingsError
from devstudio_server.egress.service import LOG_DAYS
from devstudio_server.egress.settings import EgressSettings
from devstudio_server.kit.masking import keep_secret


class EgressConfiguration(Configurable):
    """Where runs may go at all, and how."""

    lease_hours = Float(
        min=0.01, help="Longest that a lease may last, in hours. Default: $DEVSTUDIO_EGRESS_LEASE_HOURS, else 24."
    ).tag(config=True)
    log_days = Int(LOG_DAYS, min=1, help="How long requests of runs to the outside are kept, in days.").tag(config=True)
    internal = Dict(
        help="Names that runs may reach at private addresses, and those addresses or ranges: {'mirror.example': "
        "['10.20.0.5']}. A lease still has to name them. Default: $DEVSTUDIO_EGRESS_INTERNAL, as JSON."
    ).tag(config=True)
    upstream = Unicode(
        help="URL of the proxy of the house, through which the proxies of runs connect. Default: "
        "$DEVSTUDIO_EGRESS_PROXY, else $HTTPS_PROXY."
    ).tag(config=True)
    ca_file = Unicode(
        help="Certificates (PEM) that clients in a run trust beside those that this machine does, as that of a mirror. "
        "Default: $DEVSTUDIO_EGRESS_CA_FILE."
    ).tag(config=True)
    pip_index_url = Unicode(help="Index that pip asks in runs. Default: $PIP_INDEX_URL.").tag(config=True)
    npm_registry = Unicode(help="Registry that npm asks in runs. Default: $npm_config_registry.").tag(config=True)

    def checked(self) -> EgressSettings:
        """Return it all: a mistake is told now, as `SettingsError`, and not in a run."""
        try:
            settings = self.settings()
            settings.proxy()
        except ValueError as error:
            message = f"EgressConfiguration: {error}."
            raise SettingsError(message) from error
        keep_secret(*settings.secrets())
        return settings

    def settings(self) -> EgressSettings:
        """Return it all; raises ValueError for what cannot be read."""
        return EgressSettings(
            lease_hours=self.lease_hours,
            log_days=self.log_days,
            internal={name: tuple(networks) for name, networks in self.internal.items()},
            upstream=self.upstream,
            ca_file=self.ca_file,
            pip_index_url=self.pip_index_url,
            npm_registry=self.npm_registry,
        )

    @default("lease_hours")
    def _default_lease_hours(self) -> float:
        return EgressSettings.of_environment(os.environ).lease_hours

    @default("internal")
    def _default_internal(self) -> dict[str, tuple[str, ...]]:
        return dict(EgressSettings.of_environment(os.environ).internal)

    @default("upstream")
    def _default_upstream(self) -> str:
        return EgressSettings.of_environment(os.environ).upstream

    @default("ca_file")
    def _default_ca_file(self) -> str:
        return EgressSettings.of_environment(os.environ).ca_file

    @default("pip_index_url")
    def _default_pip_index_url(self) -> str:
        return EgressSettings.of_environment(os.environ).pip_index_url

    @default("npm_registry")
    def _default_npm_registry(self) -> str:
        return EgressSettings.of_environment(os.environ).npm_registry
