"""Builds the context of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devstudio_server.ai.subjects import GenerationSubject
from devstudio_server.planning.context.packing import Packer
from devstudio_server.planning.context.parts import MIN_BUDGET_TOKENS, Context, PartKind
from devstudio_server.scm import GitRepository


def build_context(
    repository: GitRepository,
    tree: str,
    subject: GenerationSubject,
    *,
    budget_tokens: int,
    instructions: str = "",
    documents: Mapping[str, str] | None = None,
    rejections: Sequence[str] = (),
) -> Context:
    """Choose what a model is shown for a task: never more than ``budget_tokens``, the task and its criteria always.

    ``documents`` are the session's texts by type, already without what is restricted. The same arguments give the same
    context. Raises ``ValueError`` for a budget below `MIN_BUDGET_TOKENS`.
    """
    if budget_tokens < MIN_BUDGET_TOKENS:
        message = f"a budget has at least {MIN_BUDGET_TOKENS} tokens, not {budget_tokens}"
        raise ValueError(message)
    packer = Packer(budget_tokens)
    packer.add_required(PartKind.CRITERIA, "criteria of the task", _criteria(subject), "the task names them")
    task = f"{subject.task_key} {subject.task_title}\n{subject.task_description}"
    packer.add_required(PartKind.TASK, "task", task, "it is to be done")
    packer.add(PartKind.INSTRUCTIONS, "instructions of the person", instructions, "the person gave them")
    for reason in rejections:
        packer.add(PartKind.REJECTION, "why an earlier proposal was rejected", reason, "it must not be repeated")
    for name, text in (documents or {}).items():
        if name == "design":
            packer.add(PartKind.DESIGN, name, text, "the design of the session")
    packer.add(PartKind.SYMBOLS, "files of the repository", "\n".join(repository.files(tree)), "what there is")
    return packer.context()


def _criteria(subject: GenerationSubject) -> str:
    return "\n".join(f"{criterion.key} {criterion.text}" for criterion in subject.criteria)
