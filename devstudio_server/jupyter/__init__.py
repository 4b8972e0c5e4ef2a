"""Jupyter's own services, as DevStudio needs them."""
