"""The `offline` provider: rules and templates on this server. No model, no key, no network, always the same answer."""

from devstudio_server.ai.offline.adapter import OfflineAdapter

__all__ = ["OfflineAdapter"]
