"""What can go wrong with bundles."""

from __future__ import annotations

from devstudio_server.kit.errors import PayloadTooLarge


class BundleTooLarge(PayloadTooLarge):
    """What the bundle would hold is more than one may have."""

    title = "The bundle would be too large"
