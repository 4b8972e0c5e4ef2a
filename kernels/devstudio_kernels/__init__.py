"""Jupyter kernels in per-tenant containers."""
