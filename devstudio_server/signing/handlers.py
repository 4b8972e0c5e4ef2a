"""HTTP of signing keys: what somebody needs who verifies without this server."""

from __future__ import annotations

from devstudio_server.signing.errors import SigningKeyUnusable
from devstudio_server.signing.schemas import SigningKeyList
from devstudio_server.signing.signer import Signer
from devstudio_server.web import Call, Operations

operations = Operations("signing-keys")


@operations.operation(
    "GET", "signing-keys", permission=None, summary="List the keys that sign", errors=(SigningKeyUnusable,)
)
def list_signing_keys(call: Call) -> SigningKeyList:
    """Return the public half of every key: the one that signs, those that did, and those that were revoked."""
    return SigningKeyList(items=[key.read() for key in call.ports.get(Signer).public_keys()])
