"""Pipelines at the git hosts."""
