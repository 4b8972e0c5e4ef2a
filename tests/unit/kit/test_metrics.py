"""Labels of metrics: the seed's sizes, and nothing that a client can make up."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from devstudio_server.kit.metrics import (
    OTHER,
    context_size_bucket,
    count_call,
    know_models,
    measured_conversation,
    measured_run,
    method_label,
    model_label,
)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("characters", "bucket"),
    [(0, "small"), (999, "small"), (1000, "medium"), (4999, "medium"), (5000, "large"), (19_999, "large"),
     (20_000, "xlarge"), (10**9, "xlarge")],
)  # fmt: skip
def test_sizes_have_the_seeds_names(characters: int, bucket: str) -> None:
    assert context_size_bucket(characters) == bucket


def test_only_known_models_and_methods_are_labels() -> None:
    know_models(["known/model"])
    assert (model_label("known/model"), model_label("made-up")) == ("known/model", OTHER)
    assert (method_label("GET"), method_label("MADEUP"), method_label(None)) == ("GET", OTHER, OTHER)


def test_a_conversation_counts_its_calls_its_time_and_its_end() -> None:
    know_models(["known/model"])
    before = value("devstudio_operations_success_total", operation_type="generation")
    with measured_conversation("generation", "known/model", 6_000):
        count_call("generation", "known/model", 120, 0.25)
    with pytest.raises(RuntimeError), measured_conversation("generation", "known/model", 10):
        raise RuntimeError
    assert value("devstudio_operations_success_total", operation_type="generation") == before + 1
    timed = "devstudio_code_generation_duration_seconds_count"
    assert value(timed, model="known/model", context_size_bucket="large") == 1
    assert value(timed, model="known/model", context_size_bucket="small") == 1
    assert value("devstudio_ai_tokens_total", model="known/model", operation_type="generation") == 120


def test_a_run_is_a_success_only_when_it_says_so() -> None:
    before = value("devstudio_operations_success_total", operation_type="test")
    for success in (True, False):
        with measured_run("pytest", "python") as measured:
            measured.success = success
    assert value("devstudio_operations_success_total", operation_type="test") == before + 1
