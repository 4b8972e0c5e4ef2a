"""The docs that are made from code are what the code says now."""

from __future__ import annotations

from pathlib import Path

from devstudio_server.app import DevStudioApp
from devstudio_server.reference import traits_table, with_table

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_table_of_traits_is_current() -> None:
    text = (CHECKOUT / "docs/configuration.md").read_text()
    assert with_table(text) == text, "run: python -m devstudio_server.reference docs/configuration.md"


def test_every_trait_of_ours_says_what_it_does() -> None:
    ours = {name for name, trait in vars(DevStudioApp).items() if getattr(trait, "metadata", {}).get("config")}
    assert len(ours) >= 15
    for name in ours:
        assert f"| `{name}` |" in traits_table()
