"""Every metric of the server, on Jupyter's ``/metrics``. Names and buckets are the seed's.

Labels are bounded: routes are templates, methods and statuses are known ones, models are those that are configured.
No metric names a tenant: its figures come from the database, where row security guards them (docs/operations.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

Conversation = Literal["plan", "generation", "text"]

UNMATCHED = "unmatched"
"""The endpoint of a request that no operation takes."""
OTHER = "other"
"""What stands for a model or a method that is not known."""

API_REQUESTS = Counter("devstudio_api_requests_total", "Requests to the API.", ["method", "endpoint", "status"])
API_DURATION = Histogram(
    "devstudio_api_request_duration_seconds",
    "How long requests to the API took, in seconds.",
    ["endpoint", "operation_type"],
    buckets=(0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
CODE_GENERATION_DURATION = Histogram(
    "devstudio_code_generation_duration_seconds",
    "How long a model took to propose the change for a task, in seconds, over all calls.",
    ["model", "context_size_bucket"],
    buckets=(1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
EXECUTION_DURATION = Histogram(
    "devstudio_execution_duration_seconds",
    "How long runs in sandboxes took, in seconds.",
    ["command_type", "project_type"],
    buckets=(1.0, 10.0, 30.0, 60.0, 300.0, 600.0),
)
ACTIVE_CONTAINERS = Gauge("devstudio_active_containers", "Sandboxes that this server has open now.")
AI_TOKENS = Counter("devstudio_ai_tokens_total", "Tokens that models read and wrote.", ["model", "operation_type"])
AI_COST = Counter("devstudio_ai_cost_total_usd", "What calls of models cost, in US dollars.", ["model"])
OPERATIONS = Counter(
    "devstudio_operations_total", "Generations and runs that ended, whatever their end.", ["operation_type"]
)
OPERATIONS_SUCCESS = Counter(
    "devstudio_operations_success_total", "Generations and runs that ended well.", ["operation_type"]
)
AUTH_FAILURES = Counter(
    "devstudio_auth_failures_total", "Requests whose credentials were refused or missing.", ["reason"]
)
RATE_LIMITED = Counter("devstudio_rate_limited_total", "Requests that a rate limit refused.", ["limit"])
RATE_LIMITS_SKIPPED = Counter(
    "devstudio_rate_limits_skipped_total", "Requests that passed without a rate limit because Redis did not answer."
)

# What the seed calls the size of a context; here in characters, which is what is known before a call.
_CONTEXT_SIZES = ((1_000, "small"), (5_000, "medium"), (20_000, "large"))
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_known_models: set[str] = set()


def know_models(models: Iterable[str]) -> None:
    """Take these ids of models as labels; any other is ``other``."""
    _known_models.update(models)


def model_label(model: str) -> str:
    """Return ``model``, or ``other`` when it is not configured."""
    return model if model in _known_models else OTHER


def method_label(method: str | None) -> str:
    """Return ``method``, or ``other`` for one that a client made up."""
    return method if method in _METHODS else OTHER


def context_size_bucket(characters: int) -> str:
    """Return the seed's name of a size: small, medium, large or xlarge."""
    return next((name for limit, name in _CONTEXT_SIZES if characters < limit), "xlarge")


@dataclass
class Measured:
    """Something that is being measured; who does it says whether it ended well."""

    success: bool = False


@contextmanager
def measured_run(command_type: str, project_type: str, kind: str = "test") -> Iterator[Measured]:
    """Measure a run of a recipe's command, such as `pytest`, for a language, from the sandbox's opening to its end.

    ``kind`` is the type of the run, such as `test` or `build`.
    """
    measured = Measured()
    started = time.monotonic()
    try:
        yield measured
    finally:
        EXECUTION_DURATION.labels(command_type, project_type).observe(time.monotonic() - started)
        _count(kind, measured)


@contextmanager
def measured_conversation(kind: Conversation, model: str, context_size: int) -> Iterator[Measured]:
    """Measure a conversation with a model, over all its calls; ``context_size`` is its first prompt, in characters."""
    measured = Measured()
    started = time.monotonic()
    try:
        yield measured
        measured.success = True
    finally:
        if kind == "generation":
            labels = model_label(model), context_size_bucket(context_size)
            CODE_GENERATION_DURATION.labels(*labels).observe(time.monotonic() - started)
        _count(kind, measured)


def count_call(kind: Conversation, model: str, tokens: int, cost: float) -> None:
    """Count one call of a model: its tokens, read and written, and its cost in US dollars."""
    AI_TOKENS.labels(model_label(model), kind).inc(tokens)
    AI_COST.labels(model_label(model)).inc(cost)


def _count(kind: str, measured: Measured) -> None:
    OPERATIONS.labels(kind).inc()
    if measured.success:
        OPERATIONS_SUCCESS.labels(kind).inc()
