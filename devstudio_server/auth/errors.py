"""What can go wrong when someone signs in. Why a credential is refused is for the log and the metrics alone."""

from __future__ import annotations

from enum import StrEnum

from devstudio_server.kit.errors import Conflict


class Reason(StrEnum):
    """What was wrong. Who sent the credential only hears that it is refused."""

    SCHEME = "scheme"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    AUDIENCE = "audience"
    ISSUER = "issuer"
    CLAIMS = "claims"
    ROLES = "roles"
    LIFETIME = "lifetime"
    REVOKED = "revoked"
    COOKIE = "cookie"
    LAUNCH_CODE = "launch_code"
    LOCAL_TOKEN = "local_token"  # noqa: S105 - the name of a reason


class BadCredentialError(Exception):
    """A credential that is refused; ``reason`` is for the log and the metrics."""

    def __init__(self, reason: Reason) -> None:
        """Refuse for ``reason``."""
        super().__init__(str(reason))
        self.reason = reason


class SettingsError(ValueError):
    """The settings of team mode do not fit together; the message names them and says what to do."""


class NoTeam(Conflict):
    """Launch codes, sign-outs and revocations belong to a team; in the local mode Jupyter's token is all there is."""

    title = "Only in team mode"
