"""Two tenants swap every id on every route: each answer is that for an id that nobody has, and nothing changes."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine

from devstudio_server.auth import Role
from devstudio_server.kit.ids import new_id
from support.databases import Databases, unrestricted
from support.rows import digests
from support.services import Postgres
from support.studio import Studio
from support.team import Team
from support.tenants import Request, Tenant, requests_of

PAIRS = {"small": 500, "full": 5_500}
"""Each is two requests: one with an id of the other tenant, one with an id that nobody has."""
AT_ONCE = 12
UNLIMITED = tuple(
    f"--DevStudioApp.rate_limits={kind}.{scope}="
    for kind in ("read", "write", "plan", "generate", "execute", "deploy")
    for scope in ("tenant", "user")
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)")
_REQUEST = re.compile(r'"request_id": ?"[^"]*"')
_COUNTER = re.compile(r'"(newest|version)": ?\d+')
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What differs from answer to answer, whatever was asked.
_OWN_HEADERS = {"date", "content-length", "x-request-id", "ratelimit-remaining", "ratelimit-reset", "set-cookie"}


@dataclass(frozen=True)
class Seen:
    """What an answer tells, without what it must tell: the request's own id, and the id that was asked for."""

    status: int
    headers: tuple[str, ...]
    body: str


@dataclass
class World:
    """A server of a team on PostgreSQL, with two tenants that have everything."""

    studio: Studio
    everything: Engine
    tenants: tuple[Tenant, Tenant]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("swap")
    databases = Databases("postgresql", folder, postgres)
    team = Team(folder / "team")
    with (
        databases.fresh(folder / "unused.db") as database,
        team.studio(folder / "data", database.environment(), UNLIMITED) as studio,
    ):
        everything = unrestricted(database.engine())
        tenants = Tenant(team, studio), Tenant(team, studio)
        for tenant in tenants:
            tenant.settle()
        for tenant in tenants:
            tenant.read_ids(everything)
        yield World(studio, everything, tenants)
        everything.dispose()


def cases(world: World, ours: Tenant, theirs: Tenant) -> list[tuple[Request, str, Role]]:
    """Return every place of an id, with every id of the other tenant, by every role."""
    with ours.api(Role.VIEWER) as api:
        document = api.get("openapi.json").expect(200)
    known = {"scope": "global", "project_id": ours.ids["ds_projects"][0], "run_id": ours.ids["ds_runs"][0]}
    places = list(requests_of(document, known))
    values = [value for found in theirs.ids.values() for value in found] + theirs.names
    return [(place, value, role) for place in places for value in values for role in Role]


def chosen(all_cases: list[tuple[Request, str, Role]], count: int) -> list[tuple[Request, str, Role]]:
    """Return ``count`` cases: each place at least once, then each with every role, then any."""
    random.Random(20261122).shuffle(all_cases)
    places: Counter[str] = Counter()
    by_role: Counter[tuple[str, Role]] = Counter()
    ranked = []
    for case in all_cases:
        where, role = case[0].where, case[2]
        ranked.append((places[where], by_role[where, role], len(ranked)))
        places[where] += 1
        by_role[where, role] += 1
    ranked.sort(key=lambda rank: (rank[0] > 0, rank[1] > 0, rank[2]))
    return [all_cases[rank[2]] for rank in ranked[:count]]


def seen(response: httpx.Response, value: str) -> Seen:
    """Return what an answer tells, with the id that was asked for replaced by its place."""
    text = _REQUEST.sub("", response.text).replace(value, "{id}")
    text = _TIME.sub("{time}", text)
    if response.is_success:
        text = _COUNTER.sub("{counter}", _ID.sub("{new}", text))  # what was made here has an id of its own
    names = tuple(sorted(name for name in response.headers if name not in _OWN_HEADERS))
    return Seen(response.status_code, names, text)


def puts(request: Request) -> bool:
    """Tell whether a request may make what it names."""
    return request.method == "PUT" and "/kv/" in request.path


async def attack(
    world: World, ours: Tenant, theirs: Tenant, todo: list[tuple[Request, str, Role]]
) -> tuple[list[str], Counter[int]]:
    """Send every case beside its twin with an id that nobody has; return what differs or leaks, and the statuses."""
    found: list[str] = []
    statuses: Counter[int] = Counter()
    tokens = {role: ours.team.token(ours.id, user=role.value, roles=(role,)) for role in Role}
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(client: httpx.AsyncClient, request: Request, value: str, role: Role) -> httpx.Response:
        method, path, query, body = request.naming(value)
        headers = {"Authorization": f"Bearer {tokens[role]}"}
        response = await client.request(method, path, params=query, json=body, headers=headers)
        statuses[response.status_code] += 1
        if theirs.canary in response.text or theirs.canary in str(response.headers):
            found.append(f"LEAK {request.where} {value} as {role}: {response.status_code} {response.text[:300]}")
        return response

    async def compare(client: httpx.AsyncClient, request: Request, value: str, role: Role) -> None:
        nobodys = str(new_id()) if _ID.fullmatch(value) else f"key-{uuid4().hex}"
        async with gate:
            answer, twin = await ask(client, request, value, role), await ask(client, request, nobodys, role)
        if answer.status_code >= 500:
            found.append(f"BROKEN {request.where} {value} as {role}: {answer.status_code} {answer.text[:300]}")
        one, other = seen(answer, value), seen(twin, nobodys)
        if one != other:
            found.append(f"DIFFERS {request.where} {value} as {role}:\n  {one}\n  {other}")

    async with httpx.AsyncClient(base_url=world.studio.url, timeout=60, trust_env=False) as client:
        # What puts a value under a name comes last: from then on, there is something of one's own under that name.
        for last in (False, True):
            await asyncio.gather(*(compare(client, *case) for case in todo if puts(case[0]) is last))
    return found, statuses


def test_both_tenants_have_everything_that_could_leak(world: World) -> None:
    wanted = {
        "ds_projects", "ds_spec_sessions", "ds_specs", "ds_tasks", "ds_criteria", "ds_patches", "ds_approvals",
        "ds_runs", "ds_jobs", "ds_metrics", "ds_projections", "ds_kv", "ds_events", "ds_audit", "ds_users",
        "ds_launch_codes", "ds_idempotency_keys", "ds_tenants", "ds_run_settings",
    }  # fmt: skip
    for tenant in world.tenants:
        assert wanted <= set(tenant.ids), wanted - set(tenant.ids)
    for tenant in world.tenants:
        with tenant.api(Role.ADMIN_DEVSTUDIO) as api:
            assert tenant.canary in json.dumps(api.get("projects").expect(200)), "its own canary is there to be seen"


def test_lists_streams_and_repeated_keys_show_only_what_is_ones_own(world: World) -> None:
    """What names no id: lists, the event stream from its start, cursors and idempotency keys of the other tenant."""
    for ours, theirs in (world.tenants, world.tenants[::-1]):
        with ours.api(Role.ADMIN_DEVSTUDIO) as admin, ours.api(Role.EXECUTOR) as api:
            for path in ("projects", "spec-sessions", "code/patches", "exec", "audit", "kv/global", "events", "me"):
                answer = admin.get(path, **({"after": 0} if path == "events" else {}))
                text = json.dumps(answer.expect(200))
                assert theirs.canary not in text
                assert str(theirs.id) not in text
                assert not any(value in text for values in theirs.ids.values() for value in values), path
            again = {"headers": {"Idempotency-Key": theirs.names[0]}, "json": {"name": "Mine"}}
            made = api.send("POST", "projects", **again)
            assert made.expect(201)["name"] == "Mine"
            assert "idempotent-replayed" not in made.headers


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("turn", [0, 1], ids=["one way", "the other way"])
def test_ids_of_another_tenant_are_like_ids_that_nobody_has(
    world: World, turn: int, request: pytest.FixtureRequest
) -> None:
    ours, theirs = world.tenants[turn], world.tenants[1 - turn]
    every = cases(world, ours, theirs)
    todo = chosen(every, PAIRS[request.config.getoption("--bench-scale")] // 2)
    before = digests(world.everything, theirs.id)
    found, statuses = asyncio.run(attack(world, ours, theirs, todo))
    places = len({case[0].where for case in todo})
    sent = sum(statuses.values())
    print(f"\n{sent} requests at {places} places, of {len(every)} cases: {dict(sorted(statuses.items()))}")
    assert found == [], f"{len(found)} of {len(todo)}:\n" + "\n".join(found[:20])
    assert digests(world.everything, theirs.id) == before, "nothing of theirs has changed"
    assert statuses[404] > sent / 10, "most places take an id, and say that nothing is there"
    assert places == len({case[0].where for case in every}) > 50
