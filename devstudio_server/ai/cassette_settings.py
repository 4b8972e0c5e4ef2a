"""Whether exchanges with models are recorded or replayed, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, cast


@dataclass(frozen=True)
class CassetteSettings:
    """What is done with the cassette in ``folder``."""

    mode: Literal["record", "replay"]
    folder: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``record:<folder>`` or ``replay:<folder>``; raises ``ValueError``."""
        mode, _, name = text.strip().partition(":")
        folder = Path(name.strip()).expanduser()
        if mode not in {"record", "replay"} or not name.strip():
            message = f"takes record:<folder> or replay:<folder>, not {text!r}"
            raise ValueError(message)
        if mode == "replay" and not folder.is_dir():
            message = f"names a folder that is not there: {folder}"
            raise ValueError(message)
        return cls(cast("Literal['record', 'replay']", mode), folder.absolute())
