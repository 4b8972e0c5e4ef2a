"""The AI gateway: one port to every model, the model contract of `api.md`, usage and cost."""
