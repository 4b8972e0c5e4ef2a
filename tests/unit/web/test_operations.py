"""One declaration for each endpoint: what is read from a handler's signature, and what is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import UUID

import pytest

from devstudio_server.auth import local_actor
from devstudio_server.db import Units
from devstudio_server.kit.errors import Conflict
from devstudio_server.operations import all_operations
from devstudio_server.web import Call, Limit, ListQuery, Operation, Operations, Payload, Ports, Shape
from devstudio_server.web.handlers import NotFoundHandler, OperationHandler, WebContext, routes
from devstudio_server.web.sse import ServerEvent


class Body(Payload):
    name: str


class Answer(Shape):
    name: str


def declared() -> Operations:
    operations = Operations("things")

    @operations.operation("POST", "things/{thing_id}/parts/{name}", permission="x", summary="Make", errors=(Conflict,))
    def make_part(call: Call, thing_id: UUID, name: str, query: ListQuery, body: Body) -> Answer:
        """Make a part."""
        del call, thing_id, query, body
        return Answer(name=name)

    @operations.operation("DELETE", "things/{thing_id}", permission=None, summary="Drop")
    def drop_thing(call: Call, thing_id: UUID) -> None:
        """Drop it."""

    return operations


def test_the_signature_is_the_declaration() -> None:
    make, drop = declared()
    assert (make.id, make.description, make.tag, make.url) == (
        "make_part",
        "Make a part.",
        "things",
        "/api/v1/things/{thing_id}/parts/{name}",
    )
    assert (make.body, make.query, make.response, make.status) == (Body, ListQuery, Answer, 200)
    assert make.path_types == {"thing_id": UUID, "name": str}
    assert (drop.body, drop.query, drop.response, drop.status) == (None, None, None, 204)
    assert (make.permission, drop.permission, make.errors) == ("x", None, (Conflict,))


def test_a_route_matches_one_segment_for_each_placeholder() -> None:
    route = re.compile(next(iter(declared())).route)
    match = route.fullmatch("api/v1/things/1/parts/a%2Fb")
    assert match is not None
    assert match.groupdict() == {"thing_id": "1", "name": "a%2Fb"}
    assert route.fullmatch("api/v1/things/1/parts/a/b") is None


def test_a_placeholder_that_the_handler_does_not_take_fails_at_import() -> None:
    operations = Operations("things")
    with pytest.raises(KeyError, match="thing_id"):

        @operations.operation("GET", "things/{thing_id}", permission=None, summary="Get")
        def get_thing(call: Call) -> Answer:
            raise NotImplementedError


def context() -> WebContext:
    return WebContext(cast("Units", None), Ports(), ThreadPoolExecutor(1), actor_of=local_actor)


def test_a_route_that_is_declared_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        routes([*declared(), *declared()], "/", context())


def test_fixed_paths_come_before_placeholders_and_the_404_last() -> None:
    made = routes(all_operations(), "/base/", context())
    paths = [path for path, _, _ in made]
    assert all(path.startswith("/base/api/") for path in paths)
    for path in ("/base/api/v1/code/patches", "/base/api/v1/exec", "/base/api/v1/health", "/base/api/v1/health/"):
        handler = next(kind for pattern, kind, _ in made if re.fullmatch(pattern, path))
        assert handler is OperationHandler
    for path in ("/base/api/v1", "/base/api/v1/none", "/base/api/v1/exec/1/2/3"):
        handler = next(kind for pattern, kind, _ in made if re.fullmatch(pattern, path))
        assert handler is NotFoundHandler


def test_operations_of_one_path_share_a_handler() -> None:
    by_path = {path: arguments for path, _, arguments in routes(all_operations(), "/", context())}
    project = next(
        arguments for path, arguments in by_path.items() if path.endswith("projects/(?P<project_id>[^/]+)/?")
    )
    assert sorted(project["operations"]) == ["DELETE", "GET", "PUT"]


def test_a_stream_is_kept_with_its_operation() -> None:
    operations = Operations("things")

    async def follow(call: Call) -> AsyncIterator[ServerEvent]:
        yield ServerEvent("x", call.request_id)

    @operations.operation("GET", "things", permission=None, summary="Get", stream=follow, outside=True, status=202)
    def get_things(call: Call) -> Any:
        raise NotImplementedError

    (operation,) = operations
    assert (operation.stream, operation.outside, operation.status, operation.response) == (follow, True, 202, None)


@pytest.mark.parametrize("operation", all_operations(), ids=lambda operation: operation.id)
def test_a_name_that_nothing_takes_is_refused_everywhere(operation: Operation) -> None:
    for model in (operation.query, operation.body):
        assert model is None or model.model_config.get("extra") == "forbid", model


def test_every_write_has_its_limit_and_only_secrets_are_never_kept() -> None:
    for operation in all_operations():
        assert operation.access is (Limit.READ if operation.method == "GET" else Limit.WRITE)
        assert operation.takes_key is (operation.method == "POST" and not operation.secret_answer)
    assert {operation.id for operation in all_operations() if operation.secret_answer} == {"create_launch_code"}
