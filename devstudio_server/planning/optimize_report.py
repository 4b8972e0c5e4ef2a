"""Makes figures and suggestions of what is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from devstudio_server.ai.schemas import Model
from devstudio_server.ai.service import GroupedCosts
from devstudio_server.ai.subjects import GenerationSubject
from devstudio_server.planning.context import Context, Part, PartKind, tokens_of
from devstudio_server.planning.context.duplicates import Duplicate, find_duplicates
from devstudio_server.planning.context.parts import part_tokens
from devstudio_server.planning.material import Material, TaskMaterial
from devstudio_server.planning.optimize_schemas import (
    OptimizeCache,
    Optimized,
    OptimizeDuplicate,
    OptimizeOmitted,
    OptimizePart,
    OptimizeResult,
    OptimizeSize,
    OptimizeSuggestion,
)
from devstudio_server.planning.prompts import PLANNING_RULES
from devstudio_server.planning.prompts_generation import GENERATION_RULES
from devstudio_server.specs.markdown import strip_ids

SMALLEST_CACHED_TOKENS = 1024
"""Neither OpenAI nor Anthropic keeps a shorter beginning (their pages on prompt caching)."""

_MILLION = 1_000_000
_LARGE_SHARE = 0.25
_RULES = "rules"


def report_generation(
    material: TaskMaterial, context: Context, prompt: str, budget: int, shared: int
) -> OptimizeResult:
    """Return what is sent to have code written; ``shared`` is the beginning in common with another task's prompt."""
    rules = _rules(GENERATION_RULES)
    sent = tokens_of(prompt) + rules.tokens
    duplicates = find_duplicates({f"{part.kind} {part.name}": part.text for part in context.parts})
    stable = [part.name for part in context.parts if 0 <= prompt.find(part.text) < shared - len(part.text)]
    tokens_stable = rules.tokens + tokens_of(prompt[:shared])
    whole = rules.tokens + sum(part.whole for part in context.parts) + sum(left.tokens for left in context.omitted)
    documents = sum(tokens_of(text) for name, text in material.documents.items() if name != "design")
    return OptimizeResult(
        task_id=material.task_id,
        session_id=material.session_id,
        operation=Optimized.GENERATION,
        model=material.model.id,
        tokens_budget=budget,
        parts=_parts([rules, *context.parts], sent),
        omitted=[OptimizeOmitted.model_validate(left) for left in context.omitted],
        duplicates=[OptimizeDuplicate.model_validate(one) for one in duplicates],
        cache=_cache(material, [_RULES, *stable], tokens_stable, material.sibling),
        before=_size(whole + documents, material.model),
        after=_size(sent, material.model),
        suggestions=[
            *_about_context(context, budget),
            *_about_duplicates(duplicates),
            *_about_cache(material.used, tokens_stable),
        ],
        warnings=list(material.warnings),
    )


def report_plan(material: Material, instructions: str) -> OptimizeResult:
    """Return what is sent to have documents planned: all of them, whole. ``after`` is without what is doubled."""
    texts = {"session": material.title, "wishes of the person": instructions, **material.documents}
    parts = [_rules(PLANNING_RULES), *(_document(name, text) for name, text in texts.items() if text.strip())]
    sent = sum(part.tokens for part in parts)
    duplicates = find_duplicates({name: strip_ids(text) for name, text in material.documents.items()})
    doubled = sum(one.tokens for one in duplicates if one.kind == "repeated")
    return OptimizeResult(
        task_id=None,
        session_id=material.session_id,
        operation=Optimized.PLAN,
        model=material.model.id,
        tokens_budget=None,
        parts=_parts(parts, sent),
        omitted=[],
        duplicates=[OptimizeDuplicate.model_validate(one) for one in duplicates],
        cache=_cache(material, [_RULES], parts[0].tokens, None),
        before=_size(sent, material.model),
        after=_size(sent - doubled, material.model),
        suggestions=[*_about_duplicates(duplicates), *_about_cache(material.used, sent)],
        warnings=list(material.warnings),
    )


def _rules(text: str) -> Part:
    return Part(_RULES, PartKind.INSTRUCTIONS, text, tokens_of(text), "what the model may do, and how it answers")


def _document(name: str, text: str) -> Part:
    return Part(name, PartKind.DESIGN, text, part_tokens(name, text), "a plan reads every document")


def _parts(parts: Sequence[Part], sent: int) -> list[OptimizePart]:
    return [
        OptimizePart(
            name=part.name,
            kind=_RULES if part.name == _RULES else part.kind.value,
            tokens=part.tokens,
            tokens_whole=part.whole or part.tokens,
            share=round(part.tokens / sent, 4),
            why=part.why,
            cut=part.cut,
        )
        for part in parts
    ]


def _cache(
    material: Material, stable: list[str], tokens_stable: int, sibling: GenerationSubject | None
) -> OptimizeCache:
    used = material.used
    return OptimizeCache(
        stable=stable,
        tokens_stable=tokens_stable,
        compared_with=sibling.task_key if sibling else None,
        calls=used.calls,
        tokens_input=used.tokens_input,
        tokens_read=used.tokens_cache_read,
        tokens_written=used.tokens_cache_write,
        hit_rate=round(used.tokens_cache_read / used.tokens_input, 4) if used.tokens_input else 0.0,
    )


def _size(tokens: int, model: Model) -> OptimizeSize:
    cost = None if model.price_input is None else round(tokens * model.price_input / _MILLION, 8)
    return OptimizeSize(tokens=tokens, cost=cost)


def _about_context(context: Context, budget: int) -> Iterator[OptimizeSuggestion]:
    missing = sum(part.whole - part.tokens for part in context.parts if part.cut)
    missing += sum(left.tokens for left in context.omitted if left.why.startswith("no room"))
    if missing:
        message = (
            f"Parts were cut or left out for the budget of {budget} tokens. Name the files that matter in the task, "
            "part the task, or raise `token_limits.generation` in the project's agent settings."
        )
        yield _suggestion("cut", message, missing)
    for part in context.parts:
        if part.kind in {PartKind.TASK, PartKind.REJECTION} and part.tokens > _LARGE_SHARE * budget:
            yield _suggestion("large", f"{part.name} takes more than a quarter of the budget: shorten it.", part.tokens)
    if not context.of(PartKind.FILE) and context.of(PartKind.SYMBOLS):
        yield _suggestion("no-files", "No file has to do with the words of the task: name one in its text.", 0)
    if not context.of(PartKind.DESIGN) and any(left.kind is PartKind.DESIGN for left in context.omitted):
        yield _suggestion("no-design", "No section of the design matches: name its title in the task.", 0)


def _about_duplicates(duplicates: Sequence[Duplicate]) -> Iterator[OptimizeSuggestion]:
    for one in duplicates:
        where = " and ".join(one.names)
        said = {"same": "are the same", "near": "are nearly the same", "repeated": "repeats its own lines"}[one.kind]
        yield _suggestion("duplicate", f"{where} {said} ({one.lines} lines): keep one of them.", one.tokens)


def _about_cache(used: GroupedCosts, tokens_stable: int) -> Iterator[OptimizeSuggestion]:
    if tokens_stable < SMALLEST_CACHED_TOKENS:
        message = (
            f"Prompts of different tasks have {tokens_stable} tokens in common from the beginning on; providers keep "
            f"none below {SMALLEST_CACHED_TOKENS}. Only calls for one task profit from the cache."
        )
        yield _suggestion("cache-prefix", message, tokens_stable)
    if used.calls > 1 and not used.tokens_cache_read:
        message = f"None of the {used.calls} calls so far read from the provider's cache."
        yield _suggestion("cache-unused", message, used.tokens_input)


def _suggestion(code: str, message: str, tokens: int) -> OptimizeSuggestion:
    return OptimizeSuggestion(code=code, message=message, tokens=tokens)
