"""schemathesis against the document that the running server serves: no 5xx, and no answer outside of the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from devstudio_server.openapi import document
from support.studio import TOKEN, Studio

load_all_checks()
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
OPERATIONS = [
    (method.upper(), path, described["operationId"])
    for path, methods in document()["paths"].items()
    for method, described in methods.items()
]
VALID, INVALID = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
EXAMPLES = {"small": 12, "full": 400}


class Fuzz:
    """The served document, a session with credentials, and the ids of things that are there."""

    def __init__(self, studio: Studio) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"token {TOKEN}"
        self.schema = schemathesis.openapi.from_dict(studio.api.get("openapi.json").expect(200))
        self.url = studio.url
        api = studio.api
        project = api.project(name="Fuzzed")
        session = api.session(project["id"])
        planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
        task = planned["tasks"][0]["id"]
        patch = api.post("code/generate", {"task_id": task, "model": "offline"}).expect(201)["patch_id"]
        run = api.apply(patch)["id"]
        self.ids = {
            "project_id": project["id"],
            "session_id": session["id"],
            "task_id": task,
            "patch_id": patch,
            "run_id": run,
        }

    def real(self, case: Any) -> None:
        """Let a case speak of things that are there, so that it gets behind the 404."""
        for name in set(self.ids) & set(case.path_parameters or {}):
            case.path_parameters[name] = self.ids[name]
        if isinstance(case.body, dict):
            case.body.update({name: value for name, value in self.ids.items() if name in case.body})
            if "model" in case.body:
                case.body["model"] = "offline"

    def ask(self, case: Any) -> Any:
        response = case.call(base_url=self.url, session=self.session, timeout=60)
        case.validate_response(response, checks=list(CHECKS))
        return response


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    data = tmp_path_factory.mktemp("fuzz") / "data"
    with Studio(data, {}, ("--DevStudioApp.sandbox_backend=process",)) as studio:
        found = Fuzz(studio)
        yield found
        found.session.close()
        assert '"unhandled"' not in studio.log


def can_be_wrong(method: str, path: str) -> bool:
    """Tell whether anything that an operation takes has a shape that it could miss."""
    described = document()["paths"][path][method.lower()]
    shaped = [found for found in described["parameters"] if found["in"] == "query" or "format" in found["schema"]]
    return "requestBody" in described or bool(shaped)


CASES = [(*found, VALID) for found in OPERATIONS] + [
    (*found, INVALID) for found in OPERATIONS if can_be_wrong(*found[:2])
]


@pytest.mark.parametrize(
    ("method", "path", "operation_id", "mode"), CASES, ids=[f"{case[2]}-{case[3].value}" for case in CASES]
)
def test_no_answer_outside_of_the_schema(
    fuzz: Fuzz, pytestconfig: pytest.Config, method: str, path: str, operation_id: str, mode: GenerationMode
) -> None:
    operation = fuzz.schema[path][method]
    assert operation.definition.raw["operationId"] == operation_id
    statuses = []

    @settings(
        max_examples=EXAMPLES[pytestconfig.getoption("bench_scale")],
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def run(case: Any, *, real: bool) -> None:
        if real and method != "DELETE":
            fuzz.real(case)
        statuses.append(fuzz.ask(case).status_code)

    run()
    assert statuses
    assert all(status < 500 for status in statuses)
