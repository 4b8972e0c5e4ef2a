"""The seed's metrics on Jupyter's `/metrics`, fed by requests, runs and models, with labels that stay bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.studio import TOKEN, Api, Studio

LABELS = {
    "devstudio_api_requests": {"method", "endpoint", "status"},
    "devstudio_api_request_duration_seconds": {"endpoint", "operation_type"},
    "devstudio_code_generation_duration_seconds": {"model", "context_size_bucket"},
    "devstudio_execution_duration_seconds": {"command_type", "project_type"},
    "devstudio_active_containers": set(),
    "devstudio_ai_tokens": {"model", "operation_type"},
    "devstudio_ai_cost_total_usd": {"model"},
    "devstudio_operations": {"operation_type"},
    "devstudio_operations_success": {"operation_type"},
    "devstudio_auth_failures": {"reason"},
}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    data = tmp_path_factory.mktemp("metrics") / "data"
    with Studio(data, {}, ("--DevStudioApp.sandbox_backend=process",)) as server:
        yield server


def scrape(studio: Studio) -> str:
    answer = httpx.get(f"{studio.url}/metrics", headers={"Authorization": f"token {TOKEN}"}, timeout=30)
    assert answer.status_code == 200
    return answer.text


def samples(studio: Studio) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(scrape(studio))
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def test_requests_runs_and_models_are_counted(studio: Studio) -> None:
    api = studio.api
    before = samples(studio)
    session = api.session(api.project()["id"])
    planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
    task = planned["tasks"][0]["id"]
    patch = api.post("code/generate", {"task_id": task, "model": "offline"}).expect(201)["patch_id"]
    run = api.apply(patch)
    with Api(studio.url, token="wrong-token-1234") as stranger:
        stranger.get("me").problem(401)
    after = samples(studio)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    project = {"method": "POST", "endpoint": "/api/v1/projects", "status": "201"}
    assert grown("devstudio_api_requests_total", **project) == 1
    generate = {"endpoint": "/api/v1/code/generate", "operation_type": "generate"}
    assert grown("devstudio_api_request_duration_seconds_count", **generate) == 1
    sizes = ("small", "medium", "large", "xlarge")
    generations = "devstudio_code_generation_duration_seconds_count"
    assert sum(grown(generations, model="offline", context_size_bucket=size) for size in sizes) == 1
    runs = "devstudio_execution_duration_seconds_count"
    assert grown(runs, command_type="pytest", project_type="python") == 1
    for kind in ("plan", "generation", "test"):
        assert grown("devstudio_operations_total", operation_type=kind) == 1
    assert grown("devstudio_operations_success_total", operation_type="generation") == 1
    assert grown("devstudio_operations_success_total", operation_type="test") == (run["status"] == "success")
    assert value(after, "devstudio_active_containers") == 0
    assert grown("devstudio_auth_failures_total", reason="local_token") >= 1
    assert ("devstudio_ai_cost_total_usd_total", (("model", "offline"),)) in after or (
        "devstudio_ai_cost_total_usd",
        (("model", "offline"),),
    ) in after


def test_metrics_have_the_seeds_labels_and_buckets_and_none_names_a_tenant(studio: Studio) -> None:
    families = {family.name: family for family in text_string_to_metric_families(scrape(studio))}
    for name, labels in LABELS.items():
        family = families.get(name) or families[name.removesuffix("_total")]
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, name
    ours = [family for name, family in families.items() if name.startswith("devstudio_")]
    assert not [family.name for family in ours for sample in family.samples if "tenant" in str(sample.labels)]
    bounds = {
        sample.labels["le"]
        for sample in families["devstudio_api_request_duration_seconds"].samples
        if "le" in sample.labels
    }
    assert bounds == {"0.1", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0", "+Inf"}


def test_labels_stay_bounded_whatever_is_asked_for(studio: Studio) -> None:
    api = studio.api
    for _ in range(2):  # once to make every series that there can be, once to see that no other comes
        before = set(samples(studio))
        for _ in range(40):
            made_up = f"{uuid4().hex[:10].upper()}"
            api.get(f"projects/{uuid4()}")
            api.get(f"{made_up}/{uuid4()}")
            api.send("GET", f"kv/project/{made_up}")
            api.send(re.sub(r"[^A-Z]", "X", made_up), "projects")
            httpx.request(re.sub(r"[^A-Z]", "Y", made_up), f"{studio.url}/api/kernels")
            api.post("code/generate", {"task_id": str(uuid4()), "model": made_up})
            with Api(studio.url, token=made_up) as stranger:
                stranger.get("me")
        after = set(samples(studio))
    assert after - before == set()
    assert not [key for key in after if "tenant" in str(key)]
