"""Write the parts of the docs that come from code: ``python -m devstudio_server.reference docs/configuration.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from traitlets import TraitType

from devstudio_server.app import DevStudioApp

BEGIN, END = "<!-- traits:begin -->", "<!-- traits:end -->"


def traits_table() -> str:
    """Return the table of every setting of `DevStudioApp` itself, in the order of their names."""
    own = {name: trait for name, trait in DevStudioApp.class_own_traits(config=True).items() if trait.help}
    rows = [f"| `{name}` | {_type(trait)} | {_default(trait)} | {trait.help} |" for name, trait in sorted(own.items())]
    return "\n".join(["| Trait | Type | Default | What it does |", "|---|---|---|---|", *rows])


def with_table(text: str) -> str:
    """Return the document ``text`` with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{traits_table()}\n{END}{after}"


def _type(trait: TraitType[object, object]) -> str:
    return type(trait).__name__


def _default(trait: TraitType[object, object]) -> str:
    value = trait.default_value
    shown = isinstance(value, (str, int, float)) and value not in {"", 0}
    return f"`{value}`" if shown else ""


def main() -> None:
    """Rewrite the document that the command line names."""
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
