"""Fixtures that more than one kind of test uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.checkout import clone
from support.databases import KINDS, Database, Databases, Kind
from support.example_brain import ExamplesBrain
from support.litellm import LiteLLM, forwarded, mocked
from support.model_environment import MODEL_KEY, model_environment
from support.model_server import ModelServer
from support.services import Postgres, RedisServer
from support.studio import Api, Studio
from support.team import Team

ARTIFACTS = Path(__file__).resolve().parents[1] / "test-artifacts"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that make benchmarks and campaigns large, and that choose the database."""
    parser.addoption("--bench-scale", choices=("small", "full"), default="small", help="how long campaigns run")
    parser.addoption(
        "--database",
        choices=KINDS,
        help="run only the tests that work with a database, on this one; without it all tests run, these on sqlite",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--database``, leave out the tests that would show the same on any database."""
    if config.getoption("--database") is None:
        return
    kept = [item for item in items if "database_kind" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster of this session."""
    with Postgres() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server of this session."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> Kind:
    """The kind of database that tests work with; `tests/db` runs on both."""
    chosen: Kind | None = request.config.getoption("--database")
    return chosen or "sqlite"


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database_kind: Kind
) -> Databases:
    """Makes migrated databases; the cluster starts only where it is needed."""
    cluster = request.getfixturevalue("postgres") if database_kind == "postgresql" else None
    return Databases(database_kind, tmp_path_factory.mktemp("schema"), cluster)


@pytest.fixture
def database(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """A migrated database without rows."""
    with databases.fresh(tmp_path / "devstudio.db") as made:
        yield made


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    """A local server that speaks both protocols and knows the worked examples."""
    with ModelServer(ExamplesBrain()) as server:
        yield server


@pytest.fixture(scope="session")
def litellm(model_server: ModelServer) -> Iterator[LiteLLM]:
    """LiteLLM's proxy in front of that server, and with a mock of its own."""
    models = [
        forwarded("openai", "gpt-6.1-sol", model_server.openai_base_url, MODEL_KEY),
        forwarded("anthropic", "claude-sonnet-5-5", model_server.url, MODEL_KEY),
        mocked("mock"),
    ]
    with LiteLLM(models) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def studio(
    tmp_path_factory: pytest.TempPathFactory, model_server: ModelServer, databases: Databases
) -> Iterator[Studio]:
    """A running server with Docker and both model protocols."""
    folder = tmp_path_factory.mktemp("studio")
    with (
        databases.fresh(folder / "devstudio.db") as database,
        Studio(folder / "data", model_environment(model_server) | database.environment()) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """The keys and the environment of a team."""
    return Team(tmp_path_factory.mktemp("team"))


@pytest.fixture(scope="module")
def team_studio(
    tmp_path_factory: pytest.TempPathFactory,
    team: Team,
    postgres: Postgres,
    redis_server: RedisServer,
    model_server: ModelServer,
) -> Iterator[Studio]:
    """A running server of that team, with PostgreSQL, Redis and both model protocols."""
    environment = {
        "DEVSTUDIO_DATABASE_URL": postgres.app_url(postgres.database()),
        "DEVSTUDIO_REDIS_URL": redis_server.url,
    }
    folder = tmp_path_factory.mktemp("team-studio")
    with team.studio(folder / "data", environment | model_environment(model_server)) as studio:
        yield studio


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
