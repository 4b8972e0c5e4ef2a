"""Makes the documents fit into a model's window, and says what it was not shown."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from devstudio_server.ai.restricted import is_outside, put_back, without_restricted
from devstudio_server.ai.schemas import Model, Provider
from devstudio_server.ai.secret_scan import Span, find_secrets, placeholder
from devstudio_server.planning.errors import PromptTooLarge
from devstudio_server.specs.lint_rules import CODES
from devstudio_server.specs.markdown import strip_ids
from devstudio_server.specs.schemas import DocumentType, LintWarning

UNKNOWN_WINDOW = 128_000
"""Tokens that a model is taken to read when nobody knows: what the models of 2024 did."""

_CHARACTERS_PER_TOKEN = 4  # the rule of thumb that the providers give, as in `ai.metering`
_SHARE = 0.9
"""How much of the window is filled by this estimate, which is not exact."""


@dataclass(frozen=True)
class Fitted:
    """The documents as the model is shown them, and what the person is to know about it."""

    documents: dict[DocumentType, str]
    warnings: tuple[LintWarning, ...]
    viewer: Model

    def complete(self, before: str, after: str) -> str:
        """Return what the model made of ``before`` with the parts and the secrets that it was not shown."""
        whole = put_back(before, after, self.viewer)
        return _with_secrets(before, whole) if is_outside(self.viewer) else whole


def tokens_of(text: str) -> int:
    """Estimate the tokens of a text."""
    return len(text) // _CHARACTERS_PER_TOKEN + 1


def fit(
    texts: Mapping[DocumentType, str], stages: Collection[DocumentType], models: Sequence[Model], others: int
) -> Fitted:
    """Take out what is restricted, and cut what is only read until all of it fits beside ``others`` tokens.

    ``models`` may each get the prompt: the asked one and those that take over for it. Raises `PromptTooLarge` when a
    document that is written anew does not fit: cut, it would lose what was cut.
    """
    viewer = next((model for model in models if is_outside(model)), models[0])
    documents: dict[DocumentType, str] = {}
    warnings: list[LintWarning] = []
    for kind, text in texts.items():
        documents[kind], left_out = without_restricted(text, viewer)
        if left_out:
            warnings.append(_warning("restricted", kind, f"{'; '.join(left_out)} of the {kind.value}", viewer))
    room = _room(models, others, [documents[kind] for kind in texts if kind in stages], stages)
    for kind in (kind for kind in texts if kind not in stages):
        documents[kind], lost = _cut(documents[kind], room)
        room -= tokens_of(documents[kind])
        if lost:
            warnings.append(_warning("prompt-cut", kind, f"the last {lost} lines of the {kind.value}", viewer))
    return Fitted(documents, tuple(warnings), viewer)


def _with_secrets(before: str, after: str) -> str:
    """Return ``after`` with what stood in ``before``, in each line that only had its secrets taken out."""
    originals = {strip_ids(masked): strip_ids(original) for masked, original in _masked_lines(before)}
    if not originals:
        return after
    return "\n".join(originals.get(strip_ids(line), line) for line in after.split("\n"))


def _masked_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with secrets as a model outside is shown it, and as it is; a secret may go over several lines."""
    together: list[Span] = []
    for span in find_secrets(text):
        if together and "\n" in text[together[-1].end : span.start]:
            yield _masked_line(text, together)
            together = []
        together.append(span)
    if together:
        yield _masked_line(text, together)


def _masked_line(text: str, spans: Sequence[Span]) -> tuple[str, str]:
    begin, end = text.rfind("\n", 0, spans[0].start) + 1, text.find("\n", spans[-1].end)
    end = len(text) if end < 0 else end
    pieces, at = [], begin
    for span in spans:
        pieces += [text[at : span.start], placeholder(span.kind)]
        at = span.end
    return "".join([*pieces, text[at:end]]), text[begin:end]


def _room(models: Sequence[Model], others: int, rewritten: list[str], stages: Collection[DocumentType]) -> int:
    """Return how many tokens are left for what is only read, when what is written anew goes in and comes out."""
    needed = others + 2 * sum(tokens_of(text) for text in rewritten)
    windows = [m.context_window or UNKNOWN_WINDOW for m in models if m.provider is not Provider.OFFLINE]
    if not windows:
        return max(needed, 1) + 10**9  # rules on this server read everything
    room = int(min(windows) * _SHARE) - needed
    if room < 0:
        named = " and ".join(kind.value for kind in DocumentType if kind in stages)
        message = (
            f"The {named} and what belongs to the question have about {needed:,} tokens in and out, but "
            f"{models[0].id} takes {min(windows):,}. Plan a smaller session, or choose a model with a larger window."
        )
        raise PromptTooLarge(message, tokens=needed, context_window=min(windows))
    return room


def _cut(text: str, room: int) -> tuple[str, int]:
    """Return as many whole lines as fit, with a line that says so, and how many are missing."""
    if tokens_of(text) <= room:
        return text, 0
    lines = text.split("\n")
    left = max(room - 20, 0) * _CHARACTERS_PER_TOKEN
    kept = 0
    while kept < len(lines) and left > len(lines[kept]):
        left -= len(lines[kept]) + 1
        kept += 1
    lost = len(lines) - kept
    return "\n".join([*lines[:kept], f"[cut here: {lost} more lines were not sent]"]), lost


def _warning(code: str, kind: DocumentType, what: str, model: Model) -> LintWarning:
    rule = CODES[code]
    message = rule.message.format(key=model.id, word=what)
    return LintWarning(
        document=kind, line=1, code=code, severity=rule.severity, message=message, suggestion=rule.suggestion
    )
