"""The worked examples from a cassette: recorded with a model server, then done again where there is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.databases import Databases
from support.example_brain import EXAMPLES, ExamplesBrain
from support.model_environment import MODEL_KEY, model_environment
from support.model_server import ModelServer
from support.studio import TOKEN, Api, Studio

# Each example once, each protocol at least once; which protocol replays which example makes no difference.
DONE = [("semver", "openai"), ("rfc4180", "anthropic"), ("luhn", "openai")]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def cassette(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cassette")


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(ExamplesBrain()) as made:
        yield made


@pytest.fixture(scope="module")
def recording(
    tmp_path_factory: pytest.TempPathFactory, server: ModelServer, databases: Databases, cassette: Path
) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("recording")
    with databases.fresh(folder / "devstudio.db") as database:
        environment = model_environment(server) | database.environment()
        with Studio(folder / "data", environment | {"DEVSTUDIO_MODEL_CASSETTE": f"record:{cassette}"}) as studio:
            yield studio


@pytest.fixture(scope="module")
def replaying(tmp_path_factory: pytest.TempPathFactory, databases: Databases, cassette: Path) -> Iterator[Studio]:
    """A studio that has no key, and no server to ask."""
    folder = tmp_path_factory.mktemp("replaying")
    with databases.fresh(folder / "devstudio.db") as database:
        nowhere = {"OPENAI_BASE_URL": f"{NOWHERE}/v1", "ANTHROPIC_BASE_URL": NOWHERE}
        environment = database.environment() | nowhere | {"DEVSTUDIO_MODEL_CASSETTE": f"replay:{cassette}"}
        with Studio(folder / "data", environment) as studio:
            yield studio


def do_example(studio: Studio, slug: str, provider: str) -> str:
    """Do an example from its requirements to proven code; return what it printed."""
    models = studio.api.get("ai/models").expect(200)["items"]
    model = next(model["id"] for model in models if model["provider"] == provider)
    command = [sys.executable, str(EXAMPLES / slug / "run.py"), "--url", studio.url, "--token", TOKEN]
    done = subprocess.run([*command, "--model", model, "--auto-approve"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "Every required task is done." in done.stdout
    return done.stdout


def criteria(api: Api) -> list[tuple[str, bool]]:
    session = api.get("spec-sessions", limit=1).expect(200)["items"][0]
    found = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["criteria"]
    return [(criterion["key"], criterion["proven"]) for criterion in found]


@pytest.mark.parametrize(("slug", "provider"), DONE)
def test_an_example_is_done_again_without_any_server(
    recording: Studio, replaying: Studio, server: ModelServer, slug: str, provider: str
) -> None:
    do_example(recording, slug, provider)
    asked = len(server.requests)
    assert asked > 0
    assert all(request.streams for request in server.requests)
    do_example(replaying, slug, provider)
    assert len(server.requests) == asked
    assert criteria(replaying.api) == criteria(recording.api)
    assert all(proven for _, proven in criteria(replaying.api))


def test_what_was_not_recorded_is_a_clear_error(recording: Studio, replaying: Studio, cassette: Path) -> None:
    session = recording.api.session(recording.api.project(name="Luhn checksum")["id"], title="First")
    recording.api.post("plan", {"session_id": session["id"], "stage": "requirements"})
    session = replaying.api.session(replaying.api.project(name="Luhn checksum")["id"], title="Second")
    problem = replaying.api.post("plan", {"session_id": session["id"], "stage": "requirements"}).problem(503)
    assert str(cassette) in problem["detail"]
    assert "First" in problem["detail"]
    assert "Second" in problem["detail"]


def test_no_key_is_in_the_cassette(recording: Studio, cassette: Path) -> None:
    session = recording.api.session(recording.api.project(name="Luhn checksum")["id"], title="Third")
    recording.api.post("plan", {"session_id": session["id"], "stage": "requirements"})
    texts = [path.read_text("utf-8") for path in cassette.iterdir()]
    assert texts
    assert not [text for text in texts if MODEL_KEY in text]
