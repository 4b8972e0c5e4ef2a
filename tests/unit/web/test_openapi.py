"""The OpenAPI document: valid in structure, complete in errors, and nothing points to nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from devstudio_server.openapi import document, to_yaml
from devstudio_server.operations import all_operations

DOCUMENT = document()
OPERATIONS = [
    (path, method, described)
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
]  # fmt: skip


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_openapi_3_1_with_every_operation_once() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version", "license"} <= set(DOCUMENT["info"])
    assert len(OPERATIONS) == len(all_operations()) > 15
    ids = [described["operationId"] for _, _, described in OPERATIONS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("path", "method", "described"), OPERATIONS, ids=lambda value: str(value)[:40])
def test_every_operation_is_described_whole(path: str, method: str, described: dict[str, Any]) -> None:
    assert described["summary"]
    assert described["description"].endswith((".", "`"))
    assert described["tags"]
    placeholders = set(re.findall(r"\{(\w+)\}", path))
    in_path = [parameter for parameter in described["parameters"] if parameter["in"] == "path"]
    assert {parameter["name"] for parameter in in_path} == placeholders
    assert all(parameter["required"] for parameter in in_path)
    names = [(parameter["in"], parameter["name"]) for parameter in described["parameters"]]
    assert len(names) == len(set(names))
    responses = described["responses"]
    assert {"401", "403", "500"} <= set(responses)
    assert sum(status.startswith("2") for status in responses) == 1
    for status, response in responses.items():
        assert response["description"]
        if not status.startswith("2"):
            (kind,) = response["content"]
            assert kind == "application/problem+json"
    if placeholders:
        assert {"404", "422"} <= set(responses)
    if "requestBody" in described:
        assert method in ("post", "put")
        assert "422" in responses
        assert described["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    if method in ("put", "delete"):
        assert "412" in responses
        assert ("header", "If-Match") in names


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    found = set(references(DOCUMENT))
    components = DOCUMENT["components"]
    schemas = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in components[kind]}
    assert found <= schemas
    assert schemas <= found


def test_query_parameters_carry_their_own_schemas() -> None:
    parameters = [p for _, _, described in OPERATIONS for p in described["parameters"] if p["in"] == "query"]
    assert len(parameters) > 5
    assert list(references(parameters)) == []


def test_streams_are_offered() -> None:
    kinds = {
        described["operationId"]: set(response.get("content", {}))
        for _, _, described in OPERATIONS
        for status, response in described["responses"].items()
        if status.startswith("2")
    }
    for streaming in ("get_logs", "plan", "generate_code"):
        assert kinds[streaming] == {"application/json", "text/event-stream"}
    assert kinds["delete_project"] == set()


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [1, {"c": []}], "d": {}}, "true": None, "é: x": "yes", "n": ["- x", "# y", "1", "é\n"]},
        [[1, [2]], {"x": [{"y": 1, "z": 2}]}],
        {"200": "a: b", "": 1.5, "x y": True},
    ],
)
def test_the_yaml_says_what_the_data_says(value: Any) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


def test_the_document_survives_the_way_through_yaml() -> None:
    assert yaml.safe_load(to_yaml(DOCUMENT)) == json.loads(json.dumps(DOCUMENT))
