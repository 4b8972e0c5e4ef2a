"""Packs parts into a budget: what does not fit is cut or left out, and it is said."""

from __future__ import annotations

from dataclasses import replace

from devstudio_server.planning.context.parts import (
    BYTES_PER_TOKEN,
    Context,
    Omitted,
    Part,
    PartKind,
    part_tokens,
    tokens_of,
)

CUT_LINE = "[… cut here …]"
_ORDER = {kind: index for index, kind in enumerate(PartKind)}
_SMALLEST_EXCERPT_TOKENS = 48


class Packer:
    """Takes parts in the order of their importance and gives them back in the order of the prompt."""

    def __init__(self, budget_tokens: int) -> None:
        """Fill at most ``budget_tokens``."""
        self.budget = budget_tokens
        self.left = budget_tokens
        self._parts: list[Part] = []
        self._omitted: list[Omitted] = []

    def add_required(self, kind: PartKind, name: str, text: str, why: str) -> None:
        """Take a part that must be in: it may use up to half of the whole budget, and is cut there."""
        tokens = part_tokens(name, text)
        self._take(Part(name, kind, text, tokens, why, None, tokens), min(self.left, self.budget // 2))

    def add(
        self,
        kind: PartKind,
        name: str,
        text: str,
        why: str,
        most: int | None = None,
        cut: tuple[str, int] | None = None,
    ) -> bool:
        """Take a part, cut to ``most`` tokens and to what is left; say when nothing of it fits.

        ``cut`` says what the caller has cut of it already, and the tokens of the whole.
        """
        if not text.strip():
            return False
        room = self.left if most is None else min(self.left, most)
        if room < part_tokens(name, "") + _SMALLEST_EXCERPT_TOKENS and part_tokens(name, text) > room:
            size = tokens_of(text)
            self.omit(kind, name, f"no room for its {size} tokens", tokens=size)
            return False
        tokens = part_tokens(name, text)
        said, whole = cut or (None, tokens)
        self._take(Part(name, kind, text, tokens, why, said, whole), room)
        return True

    def omit(self, kind: PartKind, name: str, why: str, count: int = 1, tokens: int = 0) -> None:
        """Say what is left out."""
        self._omitted.append(Omitted(name, kind, why, count, tokens))

    def context(self) -> Context:
        """Return what was taken."""
        parts = sorted(self._parts, key=lambda part: _ORDER[part.kind])
        return Context(tuple(parts), tuple(self._omitted), self.budget - self.left)

    def _take(self, part: Part, room: int) -> None:
        if part.tokens > room:
            text = cut_to(part.text, room - part_tokens(part.name, ""))
            cut = f"the first {tokens_of(text)} of {tokens_of(part.text)} tokens: there is no more room"
            part = replace(part, text=text, tokens=part_tokens(part.name, text), cut=cut)
        self.left -= part.tokens
        self._parts.append(part)


def cut_to(text: str, tokens: int) -> str:
    """Return the beginning of ``text``, at the end of a line where there is one, so that it has ``tokens`` at most."""
    room = max(0, tokens * BYTES_PER_TOKEN - len(CUT_LINE.encode()) - 1)
    # One character has a byte at least: no more than `room` characters need to be encoded, however long the text is.
    head = text[:room].encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    line = head.rfind("\n")
    head = head[:line] if line > len(head) // 2 else head
    return f"{head}\n{CUT_LINE}"
