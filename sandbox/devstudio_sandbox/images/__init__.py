"""The images that the Docker backend starts, and how they are built: ``python -m devstudio_sandbox.images build``."""
