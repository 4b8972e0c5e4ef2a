"""What models are told when they write code. The rules are ours; everything else is delimited data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devstudio_server.ai.subjects import CriterionText, GenerationSubject
from devstudio_server.planning.prompts import DATA_RULE, data_block, documents_blocks

GENERATION_RULES = f"""You implement one task of a software project. {DATA_RULE}

You may call `list_files` and `read_file` to look at the repository. Then answer only by calling `propose_changes`
once, with whole files and paths relative to the repository. Include the tests. A test proves criterion 1.2 only when
it says so: `@pytest.mark.criterion("1.2")` in Python, `[1.2]` in the test's name in any other runner. Every criterion
of the task needs at least one test that really checks it. Python tests run with `python3 -m pytest` from the
repository's root, Node tests with `npm test` (`node --test`). There is no network: use the standard library only.
Tests that exist must keep passing."""


def generation_prompt(subject: GenerationSubject, documents: Mapping[str, str], rejections: Sequence[str]) -> str:
    """Return what a model is asked when it writes code."""
    parts = [
        f"The project is of type {subject.project_type}, in {subject.language}.",
        *data_block("project", subject.project_name),
        f"Task key: {subject.task_key}",
        *data_block("task", f"{subject.task_title}\n{subject.task_description}"),
        *data_block("criteria of the task", _criteria(subject.criteria)),
        *documents_blocks(documents),
        *data_block("files of the repository", "\n".join(subject.files)),
        *data_block("instructions of the person", subject.instructions),
        *(part for reason in rejections for part in data_block("why an earlier proposal was rejected", reason)),
    ]
    return "\n\n".join(part for part in parts if part)


def _criteria(criteria: Sequence[CriterionText]) -> str:
    return "\n".join(f"{criterion.key} {criterion.text}" for criterion in criteria)
