"""What a model is shown of a task and its repository: chosen by rank, under a budget of tokens, with a reason each."""

from devstudio_server.planning.context.build import build_context
from devstudio_server.planning.context.parts import MIN_BUDGET_TOKENS, Context, Omitted, Part, PartKind, tokens_of

__all__ = ["MIN_BUDGET_TOKENS", "Context", "Omitted", "Part", "PartKind", "build_context", "tokens_of"]
