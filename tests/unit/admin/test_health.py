"""Health: each part's state, asked from inside, with what to do when it is down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from devstudio_sandbox import Backend, SandboxUnavailable
from devstudio_sandbox.process_backend import ProcessBackend
from devstudio_server.admin import health
from devstudio_server.admin.errors import NotReady
from devstudio_server.admin.health import HealthService
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.db import Units, create_engine
from support.domain_world import DomainWorld
from support.job_process import JobProcess

Make = Callable[..., HealthService]


@pytest.fixture
def make(domain: DomainWorld) -> Iterator[Make]:
    process = JobProcess(domain, {})
    process.start()
    gateway = Gateway(GatewaySettings())

    def build(**changes: Any) -> HealthService:
        parts: dict[str, Any] = {
            "units": domain.units,
            "worker": process.worker,
            "backend": ProcessBackend,
            "gateway": gateway,
            "data_dir": domain.root,
            "version": "1.2.3",
        }
        return HealthService(**(parts | changes))

    yield build
    process.stop()
    gateway.close()


def no_backend() -> Backend:
    raise SandboxUnavailable("no sandbox works here; start Docker")


def test_everything_that_is_required_works(make: Make) -> None:
    found = make().check()
    assert (found.status, found.version, found.default_model) == ("healthy", "1.2.3", "offline")
    assert {name for name, check in found.checks.items() if check.required} == {"database", "storage", "worker"}
    assert (found.sandbox.backend, found.sandbox.isolation) == ("process", "process")
    assert "NOT isolated" in found.sandbox.warning
    assert "offline templates" in found.checks["ai"].detail


def test_a_missing_sandbox_is_unhealthy_and_says_what_to_do(make: Make) -> None:
    found = make(backend=no_backend).check()
    assert found.status == "unhealthy"
    assert (found.sandbox.backend, found.checks["docker"].ok) == ("none", False)
    assert "start Docker" in found.checks["docker"].hint


def test_a_database_that_is_away_is_unhealthy_not_an_error(make: Make, tmp_path: Path) -> None:
    away = Units(create_engine(f"sqlite:///{tmp_path}/no/folder/x.db"))
    found = make(units=away).check()
    assert found.status == "unhealthy"
    assert not found.checks["database"].ok


def test_a_disk_that_is_nearly_full_is_unhealthy(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 2**80)
    found = make().check()
    assert found.status == "unhealthy"
    assert not found.checks["storage"].ok
    assert "MiB free" in found.checks["storage"].detail


def test_a_worker_that_stopped_is_unhealthy(make: Make, domain: DomainWorld) -> None:
    stopped = JobProcess(domain, {}).worker
    found = make(worker=stopped).check()
    assert (found.status, found.checks["worker"].ok) == ("unhealthy", False)


def test_no_key_is_in_the_answer(make: Make) -> None:
    gateway = Gateway(GatewaySettings(openai_api_key="sk-canary", openai_models=("some-model",)))
    text = make(gateway=gateway).check().model_dump_json()
    gateway.close()
    assert "canary" not in text
    assert "some-model" in text


def test_a_check_that_hangs_is_told_in_time_and_not_started_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, asked = Event(), []

    def hang() -> Backend:
        asked.append(1)
        go_on.wait(30)
        return ProcessBackend()

    monkeypatch.setattr(health, "CHECK_S", 0.1)
    monkeypatch.setattr(health, "CACHE_S", 0.0)
    service = make(backend=hang)
    try:
        for _ in range(3):
            found = service.check()
            assert found.checks["docker"].ok is False
            assert "no answer within" in found.checks["docker"].detail
            assert found.checks["database"].ok
        assert len(asked) == 1
    finally:
        go_on.set()
        service.close()


def test_an_answer_is_given_again_for_a_moment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    service = make()
    first = service.check()
    assert service.check() is first
    monkeypatch.setattr(health, "CACHE_S", 0.0)
    assert service.check() is not first


def test_a_missing_sandbox_keeps_nobody_from_being_ready(make: Make) -> None:
    assert make(backend=no_backend).ready().status == "unhealthy"


def test_a_full_disk_is_not_ready_and_alive(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 2**60)
    service = make()
    with pytest.raises(NotReady) as refused:
        service.ready()
    assert "storage" in refused.value.detail
    assert list(refused.value.extra["checks"]) == ["storage"]
    assert service.alive().status == "alive"
