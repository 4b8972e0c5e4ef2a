"""Health, readiness and liveness: what each says when a part is down, and that probes are cheap and tell no secret."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.services import Postgres, RedisServer
from support.studio import TOKEN, Api, Studio

PLAIN = "--DevStudioApp.sandbox_backend=process"
MODEL_KEY = "canary-model-key-99182"
SEEDS = {"database", "redis", "docker", "ai", "storage"}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as cluster:
        yield cluster


def test_all_is_well(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": MODEL_KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with Studio(tmp_path / "data", env, (PLAIN,)) as studio:
        health = studio.api.get("health").expect(200)
        assert set(health["checks"]) >= SEEDS
        assert health["status"] == "healthy"
        assert studio.api.get("health/ready").expect(200)["status"] == "healthy"
        assert studio.api.get("health/live").expect(200)["status"] == "alive"
        assert health["checks"]["ai"]["ok"] is True  # configured, and not called: nobody listens there
        assert health["checks"]["files"]["detail"].endswith("are looked at as the system tells")
        said = json.dumps(health)
        assert not [secret for secret in (MODEL_KEY, TOKEN, str(tmp_path)) if secret in said]
        for path in ("health", "health/ready", "health/live"):
            with Api(studio.url, token=None) as stranger:
                stranger.get(path).problem(401)


def test_no_number_of_probes_is_a_load(tmp_path: Path) -> None:
    with Studio(tmp_path / "data", {}, (PLAIN,)) as studio, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: studio.api.get("health").expect(200), range(100)))
        started = min(answer["timestamp"] for answer in answers)
        assert len({answer["timestamp"] for answer in answers}) < 100
        assert asked_again(studio.api, after=started)["timestamp"] > started


def test_a_database_that_is_down_is_not_ready_and_alive_and_comes_back(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.app_url(postgres.database())
    with Studio(tmp_path / "data", {"DEVSTUDIO_DATABASE_URL": url}, (PLAIN,)) as studio:
        api = studio.api
        api.get("health/ready").expect(200)
        postgres.stop()
        try:
            problem = api.get("health/ready").problem(503) if waited(api, 503) else {}
            assert "database" in problem["detail"]
            assert problem["checks"]["database"]["ok"] is False
            assert "local-test" not in json.dumps(problem)
            health = api.get("health").expect(200)
            assert (health["status"], health["checks"]["storage"]["ok"]) == ("unhealthy", True)
            started = time.monotonic()
            api.get("health/live").expect(200)
            assert time.monotonic() - started < 2
            problem = api.post("projects", {"name": "x"}).problem(503)
            assert int(problem["status"]) == 503
        finally:
            postgres.start()
        assert waited(api, 200)
        api.post("projects", {"name": "x"}).expect(201)


def asked_again(api: Api, *, after: str) -> dict[str, Any]:
    """Return the first answer that was not given before."""
    deadline = time.monotonic() + 30
    while (health := api.get("health").expect(200))["timestamp"] <= after:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(health)


def waited(api: Api, status: int) -> bool:
    """Wait until readiness has this status."""
    deadline = time.monotonic() + 30
    while api.get("health/ready").status != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return True


def test_redis_is_really_asked_and_its_loss_is_told_and_stops_nothing(tmp_path: Path) -> None:
    with RedisServer() as redis, Studio(tmp_path / "data", {"DEVSTUDIO_REDIS_URL": redis.url}, (PLAIN,)) as studio:
        api = studio.api
        assert api.get("health").expect(200)["checks"]["redis"] == {
            "ok": True,
            "required": False,
            "detail": "redis",
            "hint": "",
        }
        redis.stop()
        health = asked_again(api, after=api.get("health").expect(200)["timestamp"])
        assert health["checks"]["redis"]["ok"] is False
        assert "DEVSTUDIO_REDIS_URL" in health["checks"]["redis"]["hint"]
        assert health["status"] == "healthy"
        api.get("health/ready").expect(200)
        redis.start()
