"""The table of Jupyter's resources, and the table of its handlers."""

from __future__ import annotations

import importlib
from typing import Any
from uuid import uuid4

import pytest
from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import User
from jupyter_server.serverapp import JUPYTER_SERVICE_HANDLERS
from tornado.web import RequestHandler

from devstudio_server.auth import Role, local_actor, permissions_of
from devstudio_server.auth.authorizer import RESOURCES, StudioAuthorizer, permits, resources_table
from devstudio_server.auth.surface import PUBLIC, PUBLIC_FILES, ROUTES, is_known, refusal
from devstudio_server.auth.user import StudioUser
from devstudio_server.db import Actor
from devstudio_server.jupyter.router import MENDED, REFUSED_PATHS, REPLACED

ACTIONS = ("read", "write", "execute")


def actor(*roles: Role) -> Actor:
    return Actor(tenant_id=uuid4(), user_id=uuid4(), permissions=permissions_of(roles))


def allowed(*roles: Role) -> set[tuple[str, str]]:
    return {(action, name) for name in RESOURCES for action in ACTIONS if permits(actor(*roles), action, name)}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("resource", ["", "unknown", "Contents", "contents ", "*", "__class__"])
def test_what_the_table_does_not_name_is_refused(role: Role, resource: str) -> None:
    assert [action for action in ACTIONS if permits(actor(role), action, resource)] == []


@pytest.mark.parametrize("action", ["", "READ", "why", "need", "delete", "__init__"])
def test_an_action_that_jupyter_does_not_know_is_refused(action: str) -> None:
    assert [name for name in RESOURCES if permits(actor(*Role), action, name)] == []


def test_roles_reach_what_their_permissions_say() -> None:
    viewer = allowed(Role.VIEWER)
    assert ("read", "contents") in viewer
    assert ("execute", "events") in viewer
    writes = {name for action, name in viewer if action == "write"}
    assert writes == {"config", "devstudio", "labstate", "nbconvert"}
    assert not {("write", "contents"), ("write", "kernels"), ("execute", "kernels"), ("write", "sessions")} & viewer
    assert {("write", "contents"), ("execute", "kernels"), ("write", "sessions")} <= allowed(Role.EXECUTOR)
    assert ("read", "metrics") not in allowed(*set(Role) - {Role.OPERATOR})
    assert ("read", "contents") not in allowed(Role.OPERATOR)


@pytest.mark.parametrize("resource", ["terminals", "lsp", "server", "extensions", "proxy", "csp"])
def test_nobody_in_a_team_reaches_what_is_off_and_is_told_why(resource: str) -> None:
    assert [action for action in ACTIONS if permits(actor(*Role), action, resource)] == []
    assert RESOURCES[resource].why in refusal("read", resource)


def test_the_one_user_of_the_local_mode_may_do_everything() -> None:
    assert all(permits(local_actor(), action, name) for action in ACTIONS for name in (*RESOURCES, "anything"))


def test_a_user_that_is_not_ours_may_do_nothing() -> None:
    authorizer: Authorizer = StudioAuthorizer()
    person: Any = User("somebody")
    assert not authorizer.is_authorized(None, person, "read", "api")
    assert not authorizer.is_authorized(None, None, "read", "api")  # type: ignore[arg-type]
    assert authorizer.is_authorized(None, StudioUser.of(actor(Role.VIEWER)), "read", "api")  # type: ignore[arg-type]


def test_every_resource_of_jupyter_has_its_place() -> None:
    modules = [name for names in JUPYTER_SERVICE_HANDLERS.values() for name in names or []]
    found = {getattr(importlib.import_module(name), "AUTH_RESOURCE", None) for name in modules} - {None}
    assert len(found) > 8
    assert found - set(RESOURCES) == set()
    assert set(ROUTES.values()) | {resource for _path, resource in REFUSED_PATHS} <= set(RESOURCES)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # jupyter_lsp, as it is imported
def test_every_handler_that_is_named_exists() -> None:
    for name in {*ROUTES, *PUBLIC, PUBLIC_FILES, *REPLACED, *MENDED}:
        module, _, kind = name.rpartition(".")
        handler = getattr(importlib.import_module(module), kind)
        assert issubclass(handler, RequestHandler), name
        assert f"{handler.__module__}.{handler.__qualname__}" == name
        assert is_known(handler) == (name not in REPLACED), name
    assert all(is_known(handler) for handler in REPLACED.values())


def test_a_class_that_only_derives_from_a_known_one_is_unknown() -> None:
    class Derived(RequestHandler):
        pass

    assert not is_known(Derived)


def test_the_docs_have_a_row_for_each_resource() -> None:
    assert [row.split("`")[1] for row in resources_table().splitlines()[2:]] == sorted(RESOURCES)
