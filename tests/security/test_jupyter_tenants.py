"""Two tenants on one server: what one has of Jupyter's services does not exist for the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from support.jupyter_people import NOTEBOOK, Person
from support.studio import Studio
from support.team import Team

CANARY = "canary-of-tenant-a-51c7"
ARGUMENTS = (
    "--IsolatingKernelSpecManager.isolating_provisioners=local-provisioner",
    "--ServerApp.tornado_settings={'devstudio_recheck_s': 0.5}",
)
SETTING = "@jupyterlab/apputils-extension:themes"


@dataclass
class World:
    """A running team server, a person of tenant A who has one of everything, and a person of tenant B."""

    studio: Studio
    team: Team
    ana: Person
    bob: Person
    kernel: str
    session: dict[str, Any]
    others: list[Person] = field(default_factory=list)

    def another(self, person: Person, user: str, **claims: Any) -> Person:
        assert person.tenant is not None
        self.others.append(Person(self.studio.url, self.team.token(person.tenant, user=user, **claims), person.tenant))
        return self.others[-1]

    def files(self, person: Person) -> Path:
        return self.studio.data_dir / "workspaces" / str(person.tenant)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tenants")
    team = Team(folder / "team")
    with team.studio(folder / "data", arguments=ARGUMENTS) as studio:
        first, second = uuid4(), uuid4()
        ana = Person(studio.url, team.token(first), first)
        bob = Person(studio.url, team.token(second, user="bob"), second)
        ana.save("secret.txt", CANARY)
        ana.save("secret.ipynb", {**NOTEBOOK, "metadata": {"canary": CANARY}})
        assert ana.send("PUT", "/api/contents/folder", {"type": "directory"}).status_code == 201
        ana.save("folder/.hidden.html", f"<script>{CANARY}</script>")
        assert ana.send("POST", "/api/contents/secret.txt/checkpoints").status_code == 201
        body = {"path": "secret.ipynb", "name": "secret.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
        session = ana.send("POST", "/api/sessions", body).json()
        layout = {"data": {"canary": CANARY}, "metadata": {"id": "layout"}}
        assert ana.send("PUT", "/lab/api/workspaces/layout", layout).status_code == 204
        assert (
            ana.send("PUT", f"/lab/api/settings/{SETTING}", {"raw": '{"theme": "JupyterLab Dark"}'}).status_code == 204
        )
        assert ana.send("PUT", "/api/config/canary", {"canary": CANARY}).status_code == 204
        made = World(studio, team, ana, bob, session["kernel"]["id"], session)
        yield made
        for person in (ana, bob, *made.others):
            person.close()


def shape(answer: httpx.Response, *names: str) -> tuple[int, str]:
    """Return what somebody can tell an answer by, without the name that they asked for and times."""
    text = answer.text
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "NAME")
    return answer.status_code, re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "TIME", text)


def test_the_other_tenant_sees_empty_lists(world: World) -> None:
    assert world.ana.names() >= {"secret.txt", "secret.ipynb", "folder"}
    assert world.ana.names("folder") >= {".hidden.html"}
    assert world.bob.names().isdisjoint(world.ana.names())
    assert world.bob.get("/api/kernels").json() == []
    assert world.bob.get("/api/sessions").json() == []
    assert world.bob.get("/lab/api/workspaces").json() == {"workspaces": {"ids": [], "values": []}}
    assert world.bob.get("/api/config/canary").json() == {}
    assert world.bob.get("/api/status").json()["kernels"] == 0
    assert world.ana.get("/api/status").json()["kernels"] >= 1


@pytest.mark.parametrize(
    ("method", "template", "body"),
    [
        ("GET", "/api/contents/{}", None),
        ("GET", "/api/contents/{}?content=0", None),
        ("GET", "/api/contents/{}?type=file", None),
        ("GET", "/files/{}", None),
        ("HEAD", "/files/{}", None),
        ("GET", "/view/{}", None),
        ("GET", "/nbconvert/html/{}", None),
        ("GET", "/api/contents/{}/checkpoints", None),
        ("POST", "/api/contents/{}/checkpoints", None),
        ("POST", "/api/contents/{}/checkpoints/checkpoint", None),
        ("DELETE", "/api/contents/{}/checkpoints/checkpoint", None),
        ("POST", "/api/contents/{}/trust", None),
        ("PATCH", "/api/contents/{}", {"path": "mine.txt"}),
        ("POST", "/api/contents/", {"copy_from": "{}"}),
        ("DELETE", "/api/contents/{}", None),
        ("GET", "/api/resolvePath?path={}", None),
    ],
)
@pytest.mark.parametrize("name", ["secret.txt", "secret.ipynb"])
def test_a_file_of_the_other_tenant_is_answered_like_a_missing_one(
    world: World, method: str, template: str, body: Any, name: str
) -> None:
    missing = f"{uuid4().hex}{Path(name).suffix}"

    def ask(path: str) -> httpx.Response:
        filled = json.loads(json.dumps(body).replace("{}", path))
        return world.bob.send(method, template.format(path), filled)

    theirs, none = ask(name), ask(missing)
    assert shape(theirs, name, Path(name).stem) == shape(none, missing, Path(missing).stem)
    assert CANARY not in theirs.text
    assert "resolvePath" in template or theirs.status_code in {200, 404}
    assert world.ana.get(f"/files/{name}").status_code == 200


def hostile_paths(world: World) -> list[str]:
    tenant = str(world.ana.tenant)
    up = [f"{dots}{tenant}/secret.txt" for dots in ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "....//", ".%2e/")]
    deep = [f"a/../../{tenant}/secret.txt", f"..%2f..%2fworkspaces%2f{tenant}%2fsecret.txt", "..%2f..%2fdevstudio.db"]
    absolute = [f"%2f{world.files(world.ana)}/secret.txt", f"/{world.files(world.ana)}/secret.txt", "%2fetc%2fpasswd"]
    beside = [f"..%2f{world.bob.tenant}0%2fsecret.txt", f"../{world.bob.tenant}0/secret.txt"]
    other = ["%00", "secret.txt%00.png", "..%252f..%252fetc%252fpasswd", "~root/.bashrc", "file:%2f%2f%2fetc%2fpasswd"]
    links = ["link.txt", "link_folder/secret.txt", "link_folder%2fsecret.txt", "link_passwd"]
    return up + deep + absolute + beside + other + links


@pytest.fixture
def traps(world: World) -> Path:
    """Beside Bob's files a folder whose name begins like it, and in them links that lead out."""
    beside = world.files(world.bob).with_name(f"{world.bob.tenant}0")
    beside.mkdir(exist_ok=True)
    (beside / "secret.txt").write_text(CANARY)
    world.bob.save("own.txt", "own")
    targets = {
        "link.txt": world.files(world.ana) / "secret.txt",
        "link_folder": world.files(world.ana),
        "link_passwd": Path("/etc/passwd"),
        "link_own.txt": world.files(world.bob) / "own.txt",
    }
    for name, target in targets.items():
        link = world.files(world.bob) / name
        if not link.is_symlink():
            link.symlink_to(target)
    return beside


def test_no_path_leads_out_of_the_tenant(world: World, traps: Path) -> None:
    text = {"type": "file", "format": "text", "content": "overwritten"}
    for path in hostile_paths(world):
        for prefix in ("/api/contents/", "/files/", "/view/", "/nbconvert/html/", "/api/resolvePath?path="):
            _status, body = world.bob.raw("GET", f"{prefix}{path}")
            assert CANARY not in body, (prefix, path)
            assert "root:x:0" not in body, (prefix, path)
            assert "SQLite format" not in body, (prefix, path)
            if prefix in {"/api/contents/", "/files/"}:
                assert _status in {400, 404}, (prefix, path, _status, body[:200])
        for method in ("PUT", "PATCH", "DELETE", "POST"):
            status, _body = world.bob.raw(method, f"/api/contents/{path}", {**text, "path": "taken.txt"})
            assert status != 500, (method, path)
    assert (world.files(world.ana) / "secret.txt").read_text() == CANARY
    assert (traps / "secret.txt").read_text() == CANARY
    assert Path("/etc/passwd").read_text().startswith("root:")


def test_a_link_that_leads_out_is_not_listed_and_one_that_stays_works(world: World, traps: Path) -> None:
    assert traps.exists()
    names = world.bob.names()
    assert "link_own.txt" in names
    assert names.isdisjoint({"link.txt", "link_folder", "link_passwd"})
    assert world.bob.get("/files/link_own.txt").text == "own"


def test_a_kernel_of_the_other_tenant_is_answered_like_a_missing_one(world: World) -> None:
    missing = str(uuid4())
    for method, suffix in [("GET", ""), ("DELETE", ""), ("POST", "/interrupt"), ("POST", "/restart")]:
        theirs = world.bob.send(method, f"/api/kernels/{world.kernel}{suffix}")
        none = world.bob.send(method, f"/api/kernels/{missing}{suffix}")
        assert shape(theirs, world.kernel) == shape(none, missing)
        assert theirs.status_code == 404
    for kernel in (world.kernel, missing):
        with pytest.raises(InvalidStatus) as refused, world.bob.socket(f"/api/kernels/{kernel}/channels"):
            pass
        assert refused.value.response.status_code == 404
    assert world.ana.run(world.kernel, "print(6 * 7)") == "42\n"


def test_a_session_of_the_other_tenant_is_answered_like_a_missing_one(world: World) -> None:
    missing = str(uuid4())
    for method, body in [("GET", None), ("PATCH", {"path": "x.ipynb"}), ("DELETE", None)]:
        theirs = world.bob.send(method, f"/api/sessions/{world.session['id']}", body)
        none = world.bob.send(method, f"/api/sessions/{missing}", body)
        assert shape(theirs, world.session["id"]) == shape(none, missing)
        assert theirs.status_code == 404
    assert world.ana.get(f"/api/sessions/{world.session['id']}").json()["kernel"]["id"] == world.kernel


def test_nobody_takes_a_kernel_over_by_its_id(world: World) -> None:
    started = world.bob.send("POST", "/api/kernels", {"name": "python3", "kernel_id": world.kernel}).json()
    assert started["id"] != world.kernel
    body = {"path": "b.ipynb", "name": "b", "type": "notebook", "kernel": {"id": world.kernel, "name": "python3"}}
    session = world.bob.send("POST", "/api/sessions", body).json()
    assert session["kernel"]["id"] not in {world.kernel, started["id"]}
    moved = world.bob.send("PATCH", f"/api/sessions/{session['id']}", {"kernel": {"id": world.kernel}})
    assert moved.status_code == 400
    assert [kernel["id"] for kernel in world.ana.get("/api/kernels").json()] == [world.kernel]
    for kernel in (started["id"], session["kernel"]["id"]):
        assert world.bob.send("DELETE", f"/api/kernels/{kernel}").status_code == 204


def test_a_kernel_starts_among_its_tenants_files_and_knows_no_secret_of_the_server(world: World) -> None:
    started = world.bob.send("POST", "/api/kernels", {"name": "python3", "path": f"../{world.ana.tenant}"}).json()
    code = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"
    folder, environment = json.loads(world.bob.run(started["id"], code))
    assert Path(folder) == world.files(world.bob)
    assert not {name for name in environment if name.startswith(("DEVSTUDIO", "JUPYTER_TOKEN"))}
    assert environment["PATH"]
    assert world.bob.send("DELETE", f"/api/kernels/{started['id']}").status_code == 204


def test_layouts_and_settings_are_a_persons_own(world: World) -> None:
    colleague = world.another(world.ana, "carla")
    assert colleague.names() >= {"secret.txt"}, "the tenant's files are everybody's in it"
    for other in (colleague, world.bob):
        assert other.get("/lab/api/workspaces").json()["workspaces"]["ids"] == []
        assert CANARY not in other.get("/lab/api/workspaces/layout").text
        assert other.get(f"/lab/api/settings/{SETTING}").json()["raw"] == "{}"
        assert other.get("/api/config/canary").json() == {}
        assert other.send("DELETE", "/lab/api/workspaces/layout").status_code == 404
    own = world.another(world.ana, "ana")
    assert own.get("/lab/api/workspaces").json()["workspaces"]["ids"] == ["layout"]
    assert "Dark" in own.get(f"/lab/api/settings/{SETTING}").json()["raw"]
    assert own.get("/api/config/canary").json() == {"canary": CANARY}


def test_the_name_of_a_setting_is_no_path(world: World) -> None:
    world.ana.save("package.json", json.dumps({"type": "object", "properties": {}, "title": CANARY}))
    theirs = world.files(world.ana)
    ups = "../" * 20
    names = [f"{ups.rstrip('/')}{theirs}:package", f"{theirs}:package", f"{theirs}/package", f"x/{ups}{theirs}:package"]
    names += [
        f"@jupyterlab/{ups}{theirs}:package",
        f"@jupyterlab/apputils-extension:{ups}{theirs}/package",
        "..:..",
        ":",
    ]
    for name in names:
        for written in (name, name.replace("/", "%2f"), name.replace(".", "%2e")):
            for method, body in (("GET", None), ("PUT", {"raw": "{}"})):
                status, text = world.bob.raw(method, f"/lab/api/settings/{written}", body)
                assert status in {301, 302, 404}, (method, written, status)
                assert CANARY not in text
    assert not list(theirs.glob("*.jupyterlab-settings"))
    known = [setting["id"] for setting in world.bob.get("/lab/api/settings?ids_only=true").json()["settings"]]
    assert len(known) > 30
    for name in known:
        assert world.bob.get(f"/lab/api/settings/{name}").status_code == 200, name


def test_events_reach_only_the_tenant_that_they_happened_in(world: World) -> None:
    with (
        world.ana.socket("/api/events/subscribe") as hers,
        world.bob.socket("/api/events/subscribe") as his,
    ):
        world.ana.save("event.txt", CANARY)
        emitted = {
            "schema_id": "https://events.jupyter.org/jupyter_server/contents_service/v1",
            "version": "1",
            "data": {"action": "save", "path": CANARY},
        }
        assert world.ana.send("POST", "/api/events", emitted).status_code == 204
        world.bob.save("his.txt", "his")
        while json.loads(hers.recv(timeout=30))["path"] != CANARY:
            pass
        first = json.loads(his.recv(timeout=30))
        assert first["path"] == "his.txt", "what Ana did before must not have come"


def until_closed(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=30)


def test_sockets_close_when_the_sign_in_of_their_person_ends(world: World) -> None:
    leaving = world.another(world.ana, "leah")
    with (
        leaving.socket(f"/api/kernels/{world.kernel}/channels") as kernel,
        leaving.socket("/api/events/subscribe") as events,
    ):
        assert leaving.send("POST", "/api/v1/auth/sign-out").status_code in {200, 204}
        for socket in (kernel, events):
            with pytest.raises(ConnectionClosed) as closed:
                until_closed(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
    assert leaving.get("/api/kernels").status_code == 403
    assert world.ana.run(world.kernel, "print('still here')") == "still here\n"


def test_trust_in_a_notebook_ends_at_the_tenant(world: World) -> None:
    cell = {
        "cell_type": "code",
        "id": "one",
        "execution_count": None,
        "metadata": {},
        "source": "",
        "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"text/html": "<script>1</script>"}}],
    }
    for person in (world.ana, world.bob):
        person.save("shared.ipynb", {**NOTEBOOK, "cells": [cell]})
    assert world.ana.send("POST", "/api/contents/shared.ipynb/trust").status_code == 201

    def trusted(person: Person) -> bool:
        content = person.get("/api/contents/shared.ipynb").json()["content"]
        return bool(content["cells"][0]["metadata"].get("trusted"))

    assert trusted(world.ana)
    assert not trusted(world.bob)


def test_saving_a_notebook_keeps_the_documents_of_the_own_tenants_session(world: World) -> None:
    with world.team.api(world.studio.url, world.ana.tenant or uuid4()) as api:
        session = api.session(api.project()["id"])
    notebook = world.ana.get(f"/api/contents/{session['notebook_path']}").json()["content"]
    assert notebook["metadata"]["devstudio"]["session_id"] == session["id"]
    world.ana.save(session["notebook_path"], notebook)
    foreign = {"type": "notebook", "format": "json", "content": notebook}
    answer = world.bob.send("PUT", "/api/contents/stolen.ipynb", foreign)
    assert answer.status_code == 404, "another tenant's session does not exist"
    assert "stolen.ipynb" not in world.bob.names()


@pytest.mark.parametrize(
    "path",
    [
        "/api/terminals",
        "/api/terminals/1",
        "/lsp/status",
        "/proxy/8080/",
        "/proxy/127.0.0.1:22/",
        "/lab/api/extensions",
    ],
)
def test_what_runs_on_the_server_itself_is_refused_with_a_reason(world: World, path: str) -> None:
    for method in ("GET", "POST"):
        answer = world.ana.send(method, path.removesuffix("/") + "/x" if path.endswith("/") else path)
        assert answer.status_code == 403
        assert "team mode" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/terminals/websocket/1", "/lsp/ws/pyright"])
def test_sockets_of_what_is_refused_do_not_open(world: World, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused, world.ana.socket(path):
        pass
    assert refused.value.response.status_code == 403


def test_nobody_shuts_the_server_down(world: World) -> None:
    assert world.ana.send("POST", "/api/shutdown").status_code == 403
    assert world.ana.get("/api/status").status_code == 200


def test_metrics_are_for_who_runs_the_server(world: World) -> None:
    assert world.ana.get("/metrics").status_code == 403
    operator = world.another(world.bob, "op", roles=("operator",))
    assert "# HELP" in operator.get("/metrics").text
    assert operator.get("/api/contents").status_code == 403


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.html", '"><script>alert(1)<', "';alert(1)//.html"])
def test_a_name_is_never_html_and_html_never_runs_as_the_server(world: World, name: str) -> None:
    quoted = httpx.URL("http://x/").copy_with(path=f"/{name}").raw_path.decode().lstrip("/").replace("/", "%2F")
    quoted = quoted if "/" not in name else quoted.replace("%2F", "_")
    shown = name.replace("/", "_")
    world.ana.save(quoted, "<script>fetch('/api/me')</script>")
    served = world.ana.get(f"/files/{quoted}")
    assert "sandbox" in served.headers["content-security-policy"]
    assert "allow-same-origin" not in served.headers["content-security-policy"]
    assert served.headers["x-content-type-options"] == "nosniff"
    page = world.ana.get(f"/view/{quoted}")
    assert page.status_code == 200
    assert shown not in page.text
    assert "sandbox=" in page.text


def test_a_converted_notebook_does_not_run_as_the_server_and_starts_no_program(world: World) -> None:
    page = world.ana.get("/nbconvert/html/secret.ipynb")
    assert page.status_code == 200
    assert "sandbox" in page.headers["content-security-policy"]
    sent = world.ana.send("POST", "/nbconvert/html", {"name": "a.ipynb", "content": NOTEBOOK})
    assert "sandbox" in sent.headers["content-security-policy"]
    for name in ("pdf", "webpdf", "qtpdf", "latex", "script", "rst", "os"):
        assert world.ana.get(f"/nbconvert/{name}/secret.ipynb").status_code == 403
        assert world.ana.send("POST", f"/nbconvert/{name}", {"content": NOTEBOOK}).status_code == 403


def test_the_page_names_no_folder_of_the_server_and_no_token(world: World) -> None:
    page = world.ana.get("/lab").text
    config = json.loads(re.findall(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[0])
    assert config["token"] == ""
    assert str(world.studio.data_dir) not in page
    assert config["terminalsAvailable"] is False
    sanitizer = world.ana.get("/lab/api/settings/@jupyterlab/apputils-extension:sanitizer").json()
    assert sanitizer["schema"]["properties"]["allowCommandLinker"]["default"] is False
