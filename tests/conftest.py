"""Fixtures that more than one kind of test uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.checkout import clone
from support.example_brain import ExamplesBrain
from support.model_server import ModelServer
from support.studio import Api, Studio

ARTIFACTS = Path(__file__).resolve().parents[1] / "test-artifacts"
MODEL_KEY = "canary-key-3f9b77c1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that makes benchmarks and campaigns large."""
    parser.addoption("--bench-scale", choices=("small", "full"), default="small", help="how long campaigns run")


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    """A local server that speaks both protocols and knows the worked examples."""
    with ModelServer(ExamplesBrain()) as server:
        yield server


def model_environment(server: ModelServer) -> dict[str, str]:
    """Return the environment in which both SDKs talk to ``server``."""
    return {
        "OPENAI_API_KEY": MODEL_KEY,
        "OPENAI_BASE_URL": server.openai_base_url,
        "ANTHROPIC_API_KEY": MODEL_KEY,
        "ANTHROPIC_BASE_URL": server.url,
    }


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, model_server: ModelServer) -> Iterator[Studio]:
    """A running server with Docker and both model protocols."""
    folder = tmp_path_factory.mktemp("studio")
    with Studio(folder / "data", model_environment(model_server)) as server:
        yield server


@pytest.fixture(scope="session")
def fresh_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that nothing was built in, until the first `make run` of the session sets it up."""
    return clone(tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def api(studio: Studio) -> Api:
    """The API of the running server."""
    return studio.api


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """The folder that keeps screenshots and logs of a test run."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS
