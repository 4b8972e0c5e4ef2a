"""The version of RENUM DevStudio."""

__version__ = "0.1.0"
