"""Rate limits over HTTP: headers, refusals, who shares a limit, and what happens when Redis goes and comes back."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstudio_server.kit.ids import new_id
from support.services import RedisServer
from support.studio import TOKEN, Api, Studio
from support.team import Team

PLAIN = "--DevStudioApp.sandbox_backend=process"
RATES = {
    "write.user": "8/day",
    "generate.tenant": "2/day",
    "execute.tenant": "1/day",
}
MISSING = "0199aa00-0000-7000-8000-000000000000"
GENERATE = {"task_id": MISSING, "model": "offline"}


def limited(data: Path, rates: dict[str, str], env: dict[str, str] | None = None) -> Studio:
    return Studio(data, env, (PLAIN, f"--DevStudioApp.rate_limits={json.dumps(rates)}"))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with limited(tmp_path / "data", RATES) as server:
        yield server


def shown(headers: httpx.Headers) -> tuple[int, int, int]:
    limit, remaining, reset = (int(headers[f"ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))
    return limit, remaining, reset


def test_a_limit_is_shown_counted_down_and_then_refuses_until_its_time(studio: Studio) -> None:
    api = studio.api
    for left in (1, 0):
        answer = api.post("code/generate", GENERATE)
        answer.problem(404)  # what cannot be found counts, too
        limit, remaining, reset = shown(answer.headers)
        assert (limit, remaining) == (2, left)
        assert 0 < reset <= 86_400
    refused = api.post("code/generate", GENERATE)
    problem = refused.problem(429)
    assert problem["type"] == "urn:devstudio:problem:TooManyRequests"
    assert problem["limit"] == "generate.tenant"
    assert "2 per 1 day" in problem["detail"]
    assert shown(refused.headers)[:2] == (2, 0)
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]


def test_a_special_limit_leaves_other_operations_alone_and_counts_as_a_write(studio: Studio) -> None:
    api = studio.api
    api.post("code/apply", {"patch_id": MISSING}).problem(404)
    api.post("code/apply", {"patch_id": MISSING}).problem(429)
    answer = api.post("projects", {"name": "One"})
    answer.expect(201)
    assert shown(answer.headers)[:2] == (8, 5)  # the three writes until now
    for _ in range(5):
        api.post("projects", {"name": "More"}).expect(201)
    problem = api.post("projects", {"name": "Too many"}).problem(429)
    assert problem["limit"] == "write.user"
    assert len(api.get("projects").expect(200)["items"]) == 6


def test_reads_have_no_limit_here_and_say_nothing_of_one(studio: Studio) -> None:
    for _ in range(20):
        answer = studio.api.get("projects")
        answer.expect(200)
        assert not [name for name in answer.headers if name.startswith("ratelimit")]


def test_the_single_user_has_no_limit_that_nobody_asked_for(tmp_path: Path) -> None:
    with limited(tmp_path / "data", {}) as studio:
        for _ in range(15):  # the seed's limit for a team is 10 a minute
            studio.api.post("code/generate", GENERATE).problem(404)


@pytest.mark.parametrize(
    ("rates", "says"),
    [({"generate.person": "1/day"}, "there is no rate limit"), ({"generate.tenant": "often"}, "write it as")],
)
def test_a_server_whose_limits_cannot_be_read_does_not_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: dict[str, str], says: str
) -> None:
    studio = limited(tmp_path / "data", rates)
    monkeypatch.setattr(studio, "_await_answer", lambda: None)
    studio.start()
    deadline = time.monotonic() + 60
    while "jupyterlab | extension was successfully loaded" not in studio.log:
        assert time.monotonic() < deadline, studio.log
        time.sleep(0.1)
    studio.kill()
    assert "DevStudioApp.rate_limits: " in studio.log
    assert says in studio.log
    assert "devstudio_server | extension was successfully loaded" not in studio.log
    assert not (tmp_path / "data" / "devstudio.db").exists()


def test_in_a_team_the_seeds_limits_hold_for_each_tenant_alone(tmp_path: Path) -> None:
    team = Team(tmp_path / "team")
    rates = json.dumps({"generate.tenant": "10/day"})  # the seed's ten, in a window that no test outlives
    with team.studio(tmp_path / "data", {}, (f"--DevStudioApp.rate_limits={rates}",)) as studio:
        one, two = new_id(), new_id()
        ana, bob = team.api(studio.url, one), team.api(studio.url, one, user="bob")
        eve = team.api(studio.url, two, user="eve")
        for _ in range(5):
            ana.post("code/generate", GENERATE).problem(404)
            bob.post("code/generate", GENERATE).problem(404)
        for person in (ana, bob):
            assert person.post("code/generate", GENERATE).problem(429)["limit"] == "generate.tenant"
        answer = eve.post("code/generate", GENERATE)
        answer.problem(404)
        assert shown(answer.headers)[:2] == (10, 9)
        reads = ana.get("projects")
        assert shown(reads.headers)[0] == 12_000  # reads of a person, which are far from their limit
        ana.close()
        bob.close()
        eve.close()


def test_servers_share_a_limit_by_redis(tmp_path: Path) -> None:
    with RedisServer() as redis:
        env = {"DEVSTUDIO_REDIS_URL": redis.url}
        with limited(tmp_path / "a/data", RATES, env) as first, limited(tmp_path / "b/data", RATES, env) as second:
            first.api.post("code/generate", GENERATE).problem(404)
            second.api.post("code/generate", GENERATE).problem(404)
            first.api.post("code/generate", GENERATE).problem(429)
            second.api.post("code/generate", GENERATE).problem(429)


def metric(studio: Studio, name: str) -> float:
    text = httpx.get(f"{studio.url}/metrics", headers={"Authorization": f"token {TOKEN}"}).text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def timed(api: Api, path: str, body: Any) -> tuple[int, float]:
    started = time.monotonic()
    status = api.post(path, body).status
    return status, time.monotonic() - started


def test_without_redis_requests_pass_at_once_and_with_it_limits_hold_again(tmp_path: Path) -> None:
    with RedisServer() as redis, limited(tmp_path / "data", RATES, {"DEVSTUDIO_REDIS_URL": redis.url}) as studio:
        api = studio.api
        for _ in range(2):
            api.post("code/generate", GENERATE).problem(404)
        api.post("code/generate", GENERATE).problem(429)
        redis.stop()
        answers = [timed(api, "code/generate", GENERATE) for _ in range(30)]
        assert {status for status, _ in answers} == {404}  # nothing is refused, nothing fails
        assert max(seconds for _, seconds in answers) < 2
        assert studio.log.count('"rate_limits_skipped"') == 1
        assert metric(studio, "devstudio_rate_limits_skipped_total") == 30
        health = api.get("health").expect(200)
        assert health["checks"]["redis"]["ok"] is False
        redis.start()
        deadline = time.monotonic() + 20
        while api.post("code/generate", GENERATE).status != 429:
            assert time.monotonic() < deadline, "limits do not hold again"
        assert studio.log.count('"rate_limits_back"') == 1


def test_a_redis_that_hangs_holds_no_request(tmp_path: Path) -> None:
    with RedisServer() as redis, limited(tmp_path / "data", RATES, {"DEVSTUDIO_REDIS_URL": redis.url}) as studio:
        api = studio.api
        api.get("me").expect(200)
        redis.process.send_signal(signal.SIGSTOP)
        try:
            answers = [timed(api, "code/generate", GENERATE) for _ in range(20)]
        finally:
            redis.process.send_signal(signal.SIGCONT)
        assert {status for status, _ in answers} == {404}
        assert max(seconds for _, seconds in answers) < 2
