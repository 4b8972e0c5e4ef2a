"""The environment in which a server of a test talks to models."""

from __future__ import annotations

from support.model_server import ModelServer

MODEL_KEY = "canary-key-3f9b77c1"


def model_environment(server: ModelServer) -> dict[str, str]:
    """Return the environment in which both SDKs talk to ``server``."""
    return {
        "OPENAI_API_KEY": MODEL_KEY,
        "OPENAI_BASE_URL": server.openai_base_url,
        "ANTHROPIC_API_KEY": MODEL_KEY,
        "ANTHROPIC_BASE_URL": server.url,
    }
