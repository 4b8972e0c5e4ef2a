"""The contract of HTTP: methods, types, sizes, versions, hostile hosts and origins, and text that attacks elsewhere."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from devstudio_server.openapi import document
from support.studio import TOKEN, Answer, Api, Studio

MISSING = "0199aa00-0000-7000-8000-000000000000"
DOCUMENT = document()
HOSTILE = (
    "'; DROP TABLE ds_projects; --",
    '" OR 1=1 --',
    "1); SELECT pg_sleep(5); --",
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "file:///etc/passwd",
    "%2e%2e%2f%00",
    "$(touch /tmp/pwned)`id`",
    "--upload-pack=touch /tmp/pwned",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}",
    "a\r\nSet-Cookie: x=y",
    "\u202egnp.exe",
    "🙂" * 20,
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    data = tmp_path_factory.mktemp("contract") / "data"
    with Studio(data, {}, ("--DevStudioApp.sandbox_backend=process",)) as server:
        yield server


@pytest.fixture
def api(studio: Studio) -> Api:
    return studio.api


def raw(studio: Studio, request: bytes) -> bytes:
    """Send bytes as they are, and return what comes until the server has no more to say."""
    with socket.create_connection(("127.0.0.1", studio.port), timeout=20) as connection:
        found = b""
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                found += chunk
        except (ConnectionResetError, BrokenPipeError):
            return found
    return found


def request(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *headers, f"Authorization: token {TOKEN}", "Connection: close"]
    if not any(header.startswith("Host:") for header in headers):
        lines.insert(1, "Host: localhost")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# Methods, types and sizes


def test_head_is_get_without_a_body(api: Api) -> None:
    project = api.project()
    for path in ("projects", f"projects/{project['id']}", "openapi.json", "health/live"):
        got, head = api.get(path), api.send("HEAD", path)
        assert (head.status, head.body) == (200, None)
        for name in ("content-type", "etag"):
            assert got.headers.get(name) == head.headers.get(name)
    assert api.send("HEAD", f"projects/{MISSING}").status == 404
    assert api.send("HEAD", "nothing/here").status == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "PUT", "TRACE", "FOO"])
def test_a_method_that_an_address_does_not_take(api: Api, method: str) -> None:
    answer = api.send(method, "projects")
    answer.problem(405)
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "kind", ["text/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "x"]
)
def test_a_body_of_another_type(api: Api, kind: str) -> None:
    answer = api.send("POST", "projects", content=b"a=b", headers={"Content-Type": kind})
    assert answer.status in {415, 422}
    answer.problem(answer.status)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "nul \\u0000 here"}',
        b'{"na\\u0000me": "x"}',
        b'{"name": "x", "description": "\\u0000"}',
        b'{"name": "x", "description": "a\x00b"}',
        b'{"name": "x", "settings": {"a": ["\\u0000"]}}',
        b'{"name": "\\ud800"}',
        b'{"name": "x", "n": 1e999}',
        b'{"name": ' + b'{"a":' * 150 + b"1" + b"}" * 151,
        b'{"name": ' + b"[" * 150 + b"]" * 150 + b"}",
        b'{"name": "x"} trailing',
    ],
)
def test_json_that_nothing_can_store(api: Api, body: bytes) -> None:
    problem = api.send("POST", "projects", content=body).problem(422)
    assert problem["errors"][0]["loc"][0] == "body"


def test_a_nul_is_named_with_its_place(api: Api) -> None:
    body = {"session_id": MISSING, "stage": "all", "prompt": "a\0b"}
    assert api.post("plan", body).problem(422)["errors"][0]["loc"] == ["body", "prompt"]
    assert api.post("projects", {"name": "a\\u0000b"}).expect(201)["name"] == "a\\u0000b"  # no NUL, but its name


def test_a_nul_in_a_path_or_a_query(api: Api) -> None:
    assert api.send("GET", "kv/project/a%00b").problem(422)["errors"][0]["loc"][0] == "path"
    assert api.send("GET", "kv/project/%ff").problem(422)["errors"][0]["loc"][0] == "path"
    assert api.send("GET", "projects?cursor=a%00b").problem(422)["errors"][0]["loc"] == ["query", "cursor"]
    assert api.send("GET", "projects?cursor=%ff").problem(422)["errors"][0]["loc"] == ["query", "cursor"]


@pytest.mark.parametrize(
    "path", [url.removeprefix("/api/v1/") for url, methods in DOCUMENT["paths"].items() if "get" in methods]
)
def test_a_query_name_that_nothing_takes(api: Api, path: str) -> None:
    for name in DOCUMENT["paths"][f"/api/v1/{path}"]["get"]["parameters"]:
        path = path.replace(f"{{{name['name']}}}", MISSING)
    assert ["query", "colour"] in [error["loc"] for error in api.get(path, colour="red").problem(422)["errors"]]


# Floods: what Tornado itself cuts off gets no answer of ours; the server must go on.


@pytest.mark.parametrize(
    "flood",
    [
        request("/api/v1/projects?" + "a" * 200_000),
        request("/api/v1/" + "x/" * 40_000),
        request("/api/v1/projects", *(f"X-{number}: {'v' * 20}" for number in range(5_000))),
        request("/api/v1/projects", "X-Long: " + "v" * 200_000),
        request("/api/v1/projects", *["Cookie: a=b"] * 10_000),
        request(
            "/api/v1/projects",
            "Content-Type: multipart/form-data; boundary=x",
            method="POST",
            body=b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n" * 5_000 + b"--x--",
        ),
        request(
            "/api/v1/projects",
            "Content-Type: multipart/form-data; boundary=x",
            method="POST",
            body=b"--x\r\nbad" * 1_000,
        ),
        request("/api/v1/projects", "Content-Length: 5", "Content-Length: 6", method="POST"),
        request("/api/v1/projects", "Transfer-Encoding: chunked", "Content-Length: 3", method="POST"),
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x00\x01\x02 nonsense\r\n\r\n",
    ],
    ids=["query", "path", "headers", "header", "cookies", "parts", "part", "lengths", "smuggled", "hosts", "noise"],
)
def test_floods_are_refused_and_the_server_goes_on(studio: Studio, api: Api, flood: bytes) -> None:
    before = len(studio.log)
    answer = raw(studio, flood)
    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert 400 <= status < 500, answer[:500]
    api.get("me").expect(200)
    assert len(studio.log) - before < 50_000  # CVE-2025-47287: a line for each part filled the disk


# Versions


def test_versions_that_are_stale_missing_or_no_versions(api: Api) -> None:
    project = api.project()
    path = f"projects/{project['id']}"
    api.put(path, {"name": "Two"}, version=1).expect(200)
    for stale in ('"1"', 'W/"1"', "1", '"99"'):
        answer = api.send("PUT", path, json={"name": "Stale"}, headers={"If-Match": stale})
        assert answer.problem(412)["current_version"] == 2
        assert answer.headers["etag"] == '"2"'
        api.send("DELETE", path, headers={"If-Match": stale}).problem(412)
    for nonsense in ('"x"', '"1", "2"', "-1", '"1.0"', "9" * 40, '"'):
        answer = api.send("PUT", path, json={"name": "No"}, headers={"If-Match": nonsense})
        assert answer.problem(422)["errors"][0]["loc"] == ["header", "If-Match"]
    assert api.get(path).expect(200)["name"] == "Two"
    assert api.put(path, {"name": "Last writer"}).expect(200)["version"] == 3  # without one, the last writer wins
    assert api.send("PUT", path, json={"name": "Any"}, headers={"If-Match": "*"}).expect(200)["version"] == 4
    assert api.send("DELETE", path, headers={"If-Match": 'W/"4"'}).status == 204


# Hosts and origins


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "169.254.169.254", "127.0.0.1.nip.io"])
def test_the_local_server_answers_to_local_names_only(studio: Studio, host: str) -> None:
    answer = raw(studio, request("/api/v1/me", f"Host: {host}"))
    assert answer.split(b" ", 2)[1] in {b"401", b"403"}
    assert b"tenant_id" not in answer


def test_only_its_own_names_reach_anything_of_a_server_that_has_names(tmp_path: Path) -> None:
    arguments = (
        "--DevStudioApp.sandbox_backend=process",
        "--ServerApp.allow_remote_access=True",
        "--DevStudioApp.allowed_hosts=studio.example.org",
        "--DevStudioApp.allowed_hosts=.team.example.org",
        "--DevStudioApp.allowed_hosts=127.0.0.1",
    )
    with Studio(tmp_path / "data", {}, arguments) as studio:
        for host in ("studio.example.org", "STUDIO.example.org:8443", "a.team.example.org"):
            assert raw(studio, request("/api/v1/me", f"Host: {host}")).startswith(b"HTTP/1.1 200"), host
        for host in (
            "evil.example",
            "studio.example.org.evil.example",
            "xstudio.example.org",
            "studioxexample.org",
            "evilteam.example.org",
            "localhost",
        ):
            for path in ("/api/v1/me", "/api/contents", "/lab", "/static/x.js", "/metrics", "/login", "/nothing"):
                answer = raw(studio, request(path, f"Host: {host}"))
                assert answer.startswith(b"HTTP/1.1 421"), (host, path, answer[:200])
                problem = json.loads(answer.split(b"\r\n\r\n", 1)[1])
                assert problem["type"] == "urn:devstudio:problem:WrongHost"
                assert host not in json.dumps(problem)


def with_origin(studio: Studio, origin: str, method: str = "GET", **headers: str) -> httpx.Response:
    sent = {"Authorization": f"token {TOKEN}", "Origin": origin} | headers
    return httpx.request(method, f"{studio.url}/api/v1/projects", headers=sent, json={"name": "x"})


def test_no_other_origin_may_read_an_answer(studio: Studio) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:1", studio.url + ".evil.example"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = with_origin(studio, origin, method)
            assert not [name for name in answer.headers if name.startswith("access-control-allow-origin")]
    preflight = httpx.options(f"{studio.url}/api/v1/projects", headers={"Origin": "https://evil.example"})
    assert preflight.status_code == 401
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_a_cookie_from_another_origin_opens_nothing(studio: Studio) -> None:
    with httpx.Client(base_url=studio.url, trust_env=False) as browser:
        browser.get(f"/lab?token={TOKEN}")
        assert browser.get("/api/v1/me").status_code == 200  # the cookie alone, from nowhere
        for origin in ("https://evil.example", "null", f"{studio.url}.evil.example"):
            crossed = browser.post("/api/v1/projects", headers={"Origin": origin}, json={"name": "Crossed"})
            assert crossed.status_code in {401, 403, 404}
            assert browser.get("/api/v1/me", headers={"Origin": origin}).status_code in {403, 404}
    assert "Crossed" not in json.dumps(studio.api.get("projects", limit=200).expect(200))


def test_an_origin_that_is_allowed_is_allowed_as_a_whole(tmp_path: Path) -> None:
    pattern = r"--ServerApp.allow_origin_pat=https://studio\.example\.org"
    with Studio(tmp_path / "data", {}, ("--DevStudioApp.sandbox_backend=process", pattern)) as studio:
        good = "https://studio.example.org"
        assert with_origin(studio, good).headers["access-control-allow-origin"] == good
        preflight = httpx.options(f"{studio.url}/api/v1/projects", headers={"Origin": good})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == good
        assert "idempotency-key" in preflight.headers["access-control-allow-headers"].lower()
        for bad in (good + ".evil.example", "https://studioxexample.org", "http://studio.example.org", good + ":1"):
            for method in ("GET", "OPTIONS"):
                assert "access-control-allow-origin" not in with_origin(studio, bad, method).headers, bad


# Text that is an attack elsewhere: stored as it is, or refused with its place


def schema_of(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = DOCUMENT["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]]
    return node


def kinds(node: dict[str, Any]) -> list[dict[str, Any]]:
    node = schema_of(node)
    return [kind for part in node.get("anyOf", []) for kind in kinds(part)] or [node]


def example(node: dict[str, Any]) -> Any:
    """Return the smallest value that a schema takes."""
    node = kinds(node)[0]
    if "enum" in node or "const" in node:
        return node.get("const", node.get("enum", [None])[0])
    if node.get("type") == "object":
        return {name: example(node["properties"][name]) for name in node.get("required", [])}
    if node.get("type") == "array":
        return [example(node["items"])] * node.get("minItems", 0)
    if node.get("format") == "uuid":
        return MISSING
    plain = {"string": "x" * max(1, node.get("minLength", 1)), "integer": 1, "number": 1, "boolean": True}
    return plain.get(node.get("type", ""))


def string_fields(node: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for kind in kinds(node):
        if kind.get("type") == "string":
            yield place
        for name, part in kind.get("properties", {}).items():
            yield from string_fields(part, (*place, name))


def filled(body: Any, place: tuple[str, ...], text: str) -> Any:
    if not place:
        return text
    inner = body.get(place[0], {}) if isinstance(body, dict) else {}
    return {**(body if isinstance(body, dict) else {}), place[0]: filled(inner, place[1:], text)}


FIELDS = [
    (method.upper(), url, place)
    for url, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
    if "requestBody" in described
    for place in dict.fromkeys(string_fields(described["requestBody"]["content"]["application/json"]["schema"]))
]
QUERIES = [
    (method.upper(), url, parameter["name"])
    for url, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
    for parameter in described["parameters"]
    if parameter["in"] == "query"
]
PATHS = [
    (method.upper(), url)
    for url, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
    if any(parameter["in"] == "path" for parameter in described["parameters"])
]


class Things:
    """What is there, so that a hostile field is the only thing that can be refused."""

    def __init__(self, api: Api) -> None:
        project = api.project()
        session = api.session(project["id"])
        planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
        task = planned["tasks"][0]["id"]
        patch = api.post("code/generate", {"task_id": task, "model": "offline"}).expect(201)["patch_id"]
        self.ids = {"project_id": project["id"], "session_id": session["id"], "task_id": task, "patch_id": patch}

    def body(self, url: str, method: str) -> dict[str, Any]:
        schema = DOCUMENT["paths"][url][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
        body = example(schema) or {}
        return {name: self.ids.get(name, value) for name, value in body.items()}

    def path(self, url: str) -> str:
        for name, value in self.ids.items():
            url = url.replace(f"{{{name}}}", value)
        return "/".join(MISSING if part.startswith("{") else part for part in url.split("/")).removeprefix("/api/v1/")


@pytest.fixture(scope="module")
def things(studio: Studio) -> Things:
    return Things(studio.api)


def clear(answer: Answer) -> None:
    """Check that an answer is a success, or a problem that a person can act on."""
    if answer.status >= 300:
        problem = answer.problem(answer.status)
        assert answer.status < 500, problem
        assert not [word for word in ("Traceback", "sqlite", "psycopg", "sqlalche") if word in problem["detail"]]


@pytest.mark.parametrize(("method", "url", "place"), FIELDS, ids=["-".join((f[0], f[1], *f[2])) for f in FIELDS])
def test_hostile_text_in_every_field(api: Api, things: Things, method: str, url: str, place: tuple[str, ...]) -> None:
    for text in HOSTILE:
        answer = api.send(method, things.path(url), json=filled(things.body(url, method), place, text))
        clear(answer)
        said = answer.body.get(place[-1]) if answer.status < 300 and isinstance(answer.body, dict) else None
        if len(place) == 1 and isinstance(said, str):
            assert said in {text, text.strip()}


@pytest.mark.parametrize(("method", "url", "name"), QUERIES)
def test_hostile_text_in_every_query(api: Api, things: Things, method: str, url: str, name: str) -> None:
    for text in HOSTILE:
        clear(api.send(method, things.path(url), params={name: text}))


@pytest.mark.parametrize(("method", "url"), PATHS)
def test_hostile_text_in_every_path(api: Api, method: str, url: str) -> None:
    for text in HOSTILE:
        parts = [quote(text, safe="") if part.startswith("{") else part for part in url.split("/")]
        clear(
            api.send(method, "/".join(parts).removeprefix("/api/v1/"), json={} if method in {"POST", "PUT"} else None)
        )


def test_after_all_that_everything_is_there(studio: Studio, api: Api, things: Things) -> None:
    api.get("projects", limit=200).expect(200)
    assert api.get(f"spec-sessions/{things.ids['session_id']}").expect(200)["id"] == things.ids["session_id"]
    assert '"unhandled"' not in studio.log
    assert not Path("/tmp/pwned").exists()
