"""What models are told when they write code. The rules are ours; everything else is delimited data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from devstudio_server.ai.schemas import AgentSettingsRead, Model
from devstudio_server.ai.subjects import GenerationSubject
from devstudio_server.ai.use import ModelUse
from devstudio_server.execution.schemas import Failure
from devstudio_server.planning.context import MIN_BUDGET_TOKENS, Context
from devstudio_server.planning.prompts import DATA_RULE, data_block

DEFAULT_CONTEXT_TOKENS = 40_000
"""What a context may have when nobody says otherwise: enough for a task, and no bill that surprises."""
UNKNOWN_WINDOW_TOKENS = 32_000
"""The window of a model that nobody knows the window of."""
RESERVED_TOKENS = 12_000
"""What rules, tools and readings need of a window, beside the context and the answer."""
MOST_FEEDBACK_CHARS = 12_000

_ANSWERING = """You may call `list_files` and `read_file` to look at the repository as it was before your change. Then
answer only by calling `propose_changes` once, with whole files and paths relative to the repository. Python tests run
with `python3 -m pytest` from the repository's root, Node tests with `npm test` (`node --test`). There is no network:
use the standard library only. Tests that exist must keep passing. When tests of your change fail, you are told which
and why, and answer again."""

GENERATION_RULES = f"""You implement one task of a software project. {DATA_RULE}

{_ANSWERING}

Include the tests. A test proves criterion 1.2 only when it says so: `@pytest.mark.criterion("1.2")` in Python, `[1.2]`
in the test's name in any other runner. Every criterion of the task needs at least one test that really checks it."""

REFACTORING_RULES = f"""You refactor a software project: its code gets better, and what it does stays the same.
{DATA_RULE}

{_ANSWERING}

Every test that passed before passes afterwards: change no test, unless the instructions of the person say so. Keep the
names and the parameters of what other code can use. Touch only what the instructions ask for."""

_MEND = """Mend the code, or the test where the test is wrong, and call `propose_changes` again with the whole text of
each file that changes. Files that you do not name stay as you proposed them; `delete` takes one back."""

_UNSAFE_IN_NAME = re.compile(r'["<>\x00-\x1f\x7f]')


def context_budget(model: Model, settings: ModelUse | AgentSettingsRead, operation: str = "generation") -> int:
    """Return how many tokens a context may have: by the model's window, the project's limit, and our default."""
    window = model.context_window or UNKNOWN_WINDOW_TOKENS
    room = window - min(settings.max_tokens or window // 4, window // 2) - RESERVED_TOKENS
    # The limit is for all calls of an operation, and each of them carries the context.
    limit = settings.token_limits.get(operation)
    return max(MIN_BUDGET_TOKENS, min(room, limit // 2 if isinstance(limit, int) else DEFAULT_CONTEXT_TOKENS))


def generation_prompt(subject: GenerationSubject, context: Context) -> str:
    """Return what a model is asked when it writes code, or refactors it."""
    parts = [
        f"The project is of type {subject.project_type}, in {subject.language}.",
        *data_block("project", subject.project_name),
        f"Task key: {subject.task_key}",
        *(block for part in context.parts for block in data_block(_name(f"{part.kind} {part.name}"), part.text)),
    ]
    left_out = sum(omitted.count for omitted in context.omitted)
    if left_out:
        parts.append(f"{left_out} parts did not fit in here. `list_files` and `read_file` show what you miss.")
    return "\n\n".join(part for part in parts if part)


def files_prompt(files: Mapping[str, str]) -> list[str]:
    """Return the blocks of whole files."""
    return [block for path, text in files.items() for block in data_block(_name(f"file {path}"), text)]


def failures_prompt(reason: str, failures: Sequence[Failure], count: int) -> str:
    """Return what a model is told of the failed tests of its change; what they print is data, and bounded."""
    lines: list[str] = []
    size = 0
    for failure in failures:
        place = ":".join(str(part) for part in (failure.file, failure.line) if part is not None)
        line = f"{failure.name}{f' ({place})' if place else ''}\n    {failure.message}".rstrip()
        size += len(line)
        if lines and size > MOST_FEEDBACK_CHARS:
            break
        lines.append(line[:MOST_FEEDBACK_CHARS])
    more = f"\n… and {count - len(lines)} more" if count > len(lines) else ""
    return "\n\n".join(
        [
            "Your change was tested in a sandbox, and the tests did not pass. Nothing was applied.",
            *data_block("failed tests", "\n".join([reason, *lines]) + more),
            _MEND,
        ]
    )


def _name(text: str) -> str:
    """Return a name that can stand in the tag of a block."""
    return _UNSAFE_IN_NAME.sub("_", text)[:250]
