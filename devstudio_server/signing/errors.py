"""What can go wrong with keys and signatures."""

from __future__ import annotations

from devstudio_server.kit.errors import Conflict, Unavailable


class SigningKeyUnusable(Unavailable):
    """A key of this server cannot be used: it is broken, or others could have read or put it there."""

    title = "The server cannot sign"


class SignatureInvalid(Conflict):
    """What was signed, or the signature, is not what this server made."""

    title = "The signature does not hold"


class KeyUnknown(SignatureInvalid):
    """No key of this server has made the signature."""

    title = "Signed with an unknown key"


class KeyRevoked(SignatureInvalid):
    """The key that has made the signature may be somebody else's by now."""

    title = "Signed with a revoked key"
