"""Launch codes, cookies, sign-out and revocation, on a running server of a team."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Engine, select, update
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from devstudio_server.auth.codes import Code
from devstudio_server.auth.models import LaunchCode, RevokedToken, SignIn, UserRow
from devstudio_server.auth.tokens import user_id_of
from devstudio_server.db.base import Base
from support.databases import Database, Databases, unrestricted
from support.studio import Api, Studio
from support.team import ISSUER, Team

ME = "/api/v1/me"
RACERS = 50


@dataclass
class World:
    """A running server of a team, its database without policies, and every secret that went over the wire."""

    studio: Studio
    team: Team
    rows: Engine
    tenant: UUID = field(default_factory=uuid4)
    secrets: list[str] = field(default_factory=list)
    opened: list[Any] = field(default_factory=list)

    def api(self, *, user: str = "ana", tenant: UUID | None = None, **claims: Any) -> Api:
        token = self.team.token(tenant or self.tenant, user=user, **claims)
        self.secrets.append(token)
        self.opened.append(Api(self.studio.url, token, "Bearer"))
        return self.opened[-1]  # type: ignore[no-any-return]

    def browser(self) -> httpx.Client:
        """Return a browser: it keeps cookies, and follows no redirect by itself."""
        self.opened.append(httpx.Client(base_url=self.studio.url, timeout=60, trust_env=False))
        return self.opened[-1]  # type: ignore[no-any-return]

    def launch(self, api: Api | None = None, **body: Any) -> dict[str, Any]:
        made = dict((api or self.api()).post("auth/launch-codes", body).expect(201))
        self.secrets.append(made["code"].split(".")[1])
        return made

    def signed_in(self, api: Api | None = None) -> httpx.Client:
        browser = self.browser()
        answer = browser.get(self.launch(api)["url"])
        assert answer.status_code == 303
        self.secrets.append(cookie_of(answer).value.split(".")[1])
        assert browser.get("/lab").status_code == 200  # as a browser does, which brings the cookie against XSRF
        return browser

    def row(self, kind: type[Base], secret: str) -> Any:
        column = kind.__table__.c["code_sha256" if kind is LaunchCode else "secret_sha256"]
        with self.rows.begin() as connection:
            digest = Code.read(secret, None).sha256  # type: ignore[arg-type]
            return connection.execute(select(kind.__table__).where(column == digest)).one_or_none()


def cookie_of(answer: httpx.Response) -> Any:
    parsed: SimpleCookie = SimpleCookie()
    (header,) = [line for line in answer.headers.get_list("set-cookie") if not line.startswith("_xsrf")]
    parsed.load(header)
    (morsel,) = parsed.values()
    return morsel


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sign-in")
    team = Team(folder / "team")
    with databases.fresh(folder / "devstudio.db") as database:
        rows = unrestricted(database.engine())
        with team.studio(folder / "data", database.environment()) as studio:
            made = World(studio, team, rows)
            yield made
            for client in made.opened:
                client.close()
        rows.dispose()


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["title"] == "Not signed in"


def test_a_launch_code_signs_one_browser_in(world: World) -> None:
    made = world.launch()
    ends = datetime.fromisoformat(made["expires_at"])
    assert timedelta(seconds=50) < ends - datetime.now(UTC) <= timedelta(seconds=60)
    parts = urlsplit(made["url"])
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/auth/launch")
    assert parse_qs(parts.query) == {"code": [made["code"]]}
    browser = world.browser()
    answer = browser.get(made["url"])
    assert answer.status_code == 303
    assert answer.headers["location"] == "/lab"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == ""
    me = browser.get(ME).json()
    assert me["tenant_id"] == str(world.tenant)
    assert me["user_id"] == str(user_id_of(ISSUER, "ana"))
    assert me["name"] == "Ana"
    assert me["roles"] == ["admin_devstudio"]
    assert datetime.fromisoformat(me["expires_at"]) > datetime.now(UTC) + timedelta(hours=7)


def test_the_cookie_is_out_of_reach(world: World) -> None:
    cookie = cookie_of(world.browser().get(world.launch()["url"]))
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert not cookie["secure"]  # the test speaks http; the next server says it is behind https
    assert re.fullmatch(rf"{world.tenant}\.[\w-]{{43}}", cookie.value)


def test_only_digests_are_stored(world: World) -> None:
    made = world.launch()
    cookie = cookie_of(world.browser().get(made["url"]))
    assert world.row(LaunchCode, made["code"]).used_at is not None
    assert world.row(SignIn, cookie.value).ended_at is None
    secrets = {made["code"].split(".")[1], cookie.value.split(".")[1]}
    with world.rows.begin() as connection:
        for table in Base.metadata.sorted_tables:
            text = repr(connection.execute(table.select()).all())
            assert not any(secret in text for secret in secrets), table.name


def test_a_code_works_once(world: World) -> None:
    made = world.launch()
    assert world.browser().get(made["url"]).status_code == 303
    for _ in range(2):
        second = world.browser()
        refused(second.get(made["url"]))
        refused(second.get(ME))


def test_a_code_ends_after_its_minute(world: World) -> None:
    made = world.launch()
    digest = Code.read(made["code"], None).sha256  # type: ignore[arg-type]
    with world.rows.begin() as connection:
        ended = update(LaunchCode.__table__).where(LaunchCode.__table__.c.code_sha256 == digest)
        connection.execute(ended.values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    refused(world.browser().get(made["url"]))
    assert world.browser().get(world.launch()["url"]).status_code == 303


def test_a_code_of_another_tenant_opens_nothing(world: World) -> None:
    made = world.launch()
    secret = made["code"].split(".")[1]
    refused(world.browser().get(f"/auth/launch?code={uuid4()}.{secret}"))
    other = world.api(tenant=uuid4(), user="bob")
    other.get("projects").expect(200)
    refused(world.browser().get(f"/auth/launch?code={other.get('me').body['tenant_id']}.{secret}"))
    assert world.browser().get(made["url"]).status_code == 303


@pytest.mark.parametrize(
    "code",
    [
        "", "x", ".", "null", "' OR '1'='1", "../../etc/passwd", f"{uuid4()}", f"{uuid4()}.", f"{uuid4()}.{'a' * 42}",
        f"{uuid4()}.{'a' * 43}", f"{uuid4()}.{'a' * 44}", f"{uuid4()}.{'a' * 43}%0a", f"{{{uuid4()}}}.{'a' * 43}",
        f"{uuid4()}.{'a' * 43}.{'a' * 43}", "a" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_code_is_refused(world: World, code: str) -> None:
    refused(world.browser().get("/auth/launch", params={"code": code}))
    refused(world.browser().post("/auth/launch", json={"code": code}))


def test_of_fifty_at_once_one_wins(world: World) -> None:
    url = world.launch()["url"]

    def exchange(_number: int) -> int:
        with httpx.Client(base_url=world.studio.url, timeout=60, trust_env=False) as client:
            return client.get(url).status_code

    with ThreadPoolExecutor(RACERS) as pool:
        statuses = list(pool.map(exchange, range(RACERS)))
    assert sorted(statuses) == [303] + [401] * (RACERS - 1)


def test_a_code_can_be_posted_by_the_page_of_another_site(world: World) -> None:
    elsewhere = {"Origin": "https://panel.example.test"}
    form = world.browser().post("/auth/launch", data={"code": world.launch()["code"]}, headers=elsewhere)
    assert (form.status_code, form.headers["location"]) == (303, "/lab")
    body = {"code": world.launch()["code"], "next": "/lab/tree/x.ipynb?reset"}
    assert world.browser().post("/auth/launch", json=body).headers["location"] == "/lab/tree/x.ipynb?reset"
    for broken in (b"", b"[]", b"{", b"[" * 100_000, b'{"code": 7}', b'{"code": null}'):
        refused(world.browser().post("/auth/launch", content=broken, headers={"Content-Type": "application/json"}))


def test_other_methods_use_no_code_up(world: World) -> None:
    made = world.launch()
    for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert world.browser().request(method, made["url"]).status_code >= 400
    assert world.browser().get(made["url"]).status_code == 303


ELSEWHERE = (
    "https://evil.test/", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "/\t/evil.test",
    "lab", " /lab", "/lab\r\nSet-Cookie: a=b", "/\x00", "/lab/../..//evil.test", "/./lab", "/lab/é",
    "http:/evil.test", "/lab//evil.test", "data:text/html,x", "?next=//evil.test", "#", "/lab/..", "//evil.test/%2f..",
)  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_the_redirect_leads_nowhere_else(world: World, path: str) -> None:
    made = world.launch()
    answer = world.browser().get("/auth/launch", params={"code": made["code"], "next": path})
    assert answer.status_code == 422, answer.headers
    assert "location" not in answer.headers
    world.api().post("auth/launch-codes", {"next": path}).problem(422)
    assert world.browser().get(made["url"]).status_code == 303, "the refused request did not use the code up"


def test_the_redirect_leads_where_it_was_asked_to(world: World) -> None:
    made = world.launch(next="/lab/tree/a%20b.ipynb?x=1&y=//z#top")
    answer = world.browser().get(made["url"])
    assert answer.headers["location"] == "/lab/tree/a%20b.ipynb?x=1&y=//z#top"


def test_writes_with_a_cookie_need_the_token_against_forgery(world: World) -> None:
    browser = world.signed_in()
    project = {"name": "P", "description": "", "type": "api", "template": "python"}
    xsrf = browser.cookies["_xsrf"]
    assert browser.post("/api/v1/projects", json=project).status_code == 403
    assert browser.post("/api/v1/projects", json=project, headers={"X-XSRFToken": "2|a|b|1"}).status_code == 403
    elsewhere = {"X-XSRFToken": xsrf, "Origin": "https://evil.test"}
    assert browser.post("/api/v1/projects", json=project, headers=elsewhere).status_code in {403, 404}
    assert browser.post("/api/v1/projects", json=project, headers={"X-XSRFToken": xsrf}).status_code == 201
    assert browser.get("/api/v1/projects").json()["items"][0]["name"] == "P"


def test_a_cookie_opens_sockets_of_its_own_origin_only(world: World) -> None:
    browser = world.signed_in()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    address = world.studio.url.replace("http", "ws") + "/api/v1/events"
    with connect(address, additional_headers={"Cookie": cookies}, origin=world.studio.url) as opened:  # type: ignore[arg-type]
        assert opened.response is not None
    with pytest.raises(InvalidStatus) as error:
        connect(address, additional_headers={"Cookie": cookies}, origin="https://evil.test")  # type: ignore[arg-type]
    assert error.value.response.status_code in {403, 404}


def test_a_bad_header_is_not_made_good_by_a_cookie(world: World) -> None:
    browser = world.signed_in()
    assert browser.get(ME).status_code == 200
    refused(browser.get(ME, headers={"Authorization": "Bearer x.y.z"}))
    assert browser.get(ME).status_code == 200


def test_a_changed_cookie_is_refused_and_taken_away(world: World) -> None:
    browser = world.signed_in()
    (name,) = [name for name in browser.cookies if name.startswith("username")]
    good = browser.cookies[name]
    tenant, secret = good.split(".")
    bad = [
        f"{uuid4()}.{secret}",
        f"{tenant}.{secret[:-1]}",
        f"{tenant}.{secret[::-1]}",
        tenant,
        secret,
        "x",
        f'"{good}x"',
    ]
    for value in bad:
        answer = httpx.get(world.studio.url + ME, headers={"Cookie": f"{name}={value}"})
        refused(answer)
        assert cookie_of(answer).value == ""
    assert httpx.get(world.studio.url + ME, headers={"Cookie": f"{name}={good}"}).status_code == 200


def test_signing_out_ends_the_browsers_sign_in_and_no_other(world: World) -> None:
    api = world.api()
    first, second = world.signed_in(api), world.signed_in(api)
    out = first.post("/api/v1/auth/sign-out", headers={"X-XSRFToken": first.cookies["_xsrf"]})
    assert out.status_code == 204
    refused(first.get(ME))
    assert second.get(ME).status_code == 200
    assert api.get("me").status == 200
    page = second.get("/logout")
    assert page.status_code == 200
    refused(second.get(ME))


def test_a_copy_of_the_cookie_is_dead_after_jupyters_logout(world: World) -> None:
    browser = world.signed_in()
    copy = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert httpx.get(world.studio.url + ME, headers={"Cookie": copy}).status_code == 200
    browser.get("/logout")
    refused(httpx.get(world.studio.url + ME, headers={"Cookie": copy}))


def test_signing_out_with_a_token_ends_it_and_what_came_from_it(world: World) -> None:
    api = world.api()
    browser, waiting = world.signed_in(api), world.launch(api)
    assert api.get("me").status == 200
    api.post("auth/sign-out", None).expect(204)
    api.get("me").problem(401)
    refused(browser.get(ME))
    refused(world.browser().get(waiting["url"]))
    assert world.api().get("me").status == 200, "another token of the same person is still good"


def test_an_admin_revokes_one_token_by_its_id(world: World) -> None:
    victim, admin = world.api(user="carl", roles=("executor",), jti="token-of-carl"), world.api()
    browser, other = world.signed_in(victim), world.api(user="carl", roles=("executor",))
    done = admin.post("auth/revocations", {"token_id": "token-of-carl"}).expect(201)
    assert done == {"token_id": "token-of-carl", "user_id": None, "issued_before": None, "sign_ins_ended": 1}
    victim.get("me").problem(401)
    refused(browser.get(ME))
    assert other.get("me").status == 200
    assert admin.post("auth/revocations", {"token_id": "token-of-carl"}).expect(201)["sign_ins_ended"] == 0


def test_an_admin_revokes_everything_that_a_person_has(world: World) -> None:
    victim, second = world.api(user="dora"), world.api(user="dora")
    browser, waiting, admin = world.signed_in(victim), world.launch(second), world.api()
    user_id = victim.get("me").body["user_id"]
    done = admin.post("auth/revocations", {"user_id": user_id}).expect(201)
    assert done["sign_ins_ended"] == 1
    for api in (victim, second):
        api.get("me").problem(401)
    refused(browser.get(ME))
    refused(world.browser().get(waiting["url"]))
    world.api(user="dora").get("me").problem(401)
    table, passed = RevokedToken.__table__, datetime.now(UTC) - timedelta(seconds=60)
    with world.rows.begin() as connection:  # as if the clock skew had passed since
        connection.execute(update(table).where(table.c.user_id == UUID(user_id)).values(issued_before=passed))
    assert world.api(user="dora").get("me").status == 200, "a token from after the revocation is good"


def test_revocations_stay_within_the_tenant(world: World) -> None:
    here, there = world.api(user="eve", jti="shared-id"), world.api(user="eve", jti="shared-id", tenant=uuid4())
    assert here.get("me").body["user_id"] == there.get("me").body["user_id"]
    there.post("auth/revocations", {"token_id": "shared-id"}).expect(201)
    there.get("me").problem(401)
    assert here.get("me").status == 200
    assert here.get("projects").status == 200


@pytest.mark.parametrize("roles", [("viewer",), ("executor",), ("reviewer",), ("operator",)])
def test_only_admins_revoke(world: World, roles: tuple[str, ...]) -> None:
    api = world.api(user="finn", roles=roles)
    problem = api.post("auth/revocations", {"token_id": "x"}).problem(403)
    assert problem["permission"] == "user:revoke"
    assert api.post("auth/launch-codes", {}).status == 201, "everybody may open their own browser"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"token_id": ""}, {"token_id": "x", "user_id": str(uuid4())}, {"user_id": "ana"}, {"token_id": "x" * 256},
        {"token_id": "a\nb"}, {"token_id": None, "user_id": None}, {"token_id": ["x"]}, {"jti": "x"},
    ],
)  # fmt: skip
def test_a_revocation_names_one_thing(world: World, body: dict[str, Any]) -> None:
    world.api().post("auth/revocations", body).problem(422)


def test_a_sign_in_made_from_a_sign_in_ends_no_later(world: World) -> None:
    first = world.signed_in()
    ends = first.get(ME).json()["expires_at"]
    made = first.post("/api/v1/auth/launch-codes", json={}, headers={"X-XSRFToken": first.cookies["_xsrf"]})
    assert made.status_code == 201
    second = world.browser()
    assert second.get(made.json()["url"]).status_code == 303
    assert second.get(ME).json()["expires_at"] == ends


def test_a_cookie_has_the_roles_of_its_token(world: World) -> None:
    browser = world.signed_in(world.api(user="gil", roles=("viewer",)))
    assert browser.get(ME).json()["roles"] == ["viewer"]
    headers = {"X-XSRFToken": browser.cookies["_xsrf"]}
    body = {"name": "P", "description": "", "type": "api", "template": "python"}
    answer = browser.post("/api/v1/projects", json=body, headers=headers)
    assert answer.json()["permission"] == "spec:create"


def test_people_are_mirrored_and_written_only_when_something_changed(world: World) -> None:
    def mirror() -> Any:
        with world.rows.begin() as connection:
            table = UserRow.__table__
            found = connection.execute(select(table).where(table.c.subject == "hana")).all()
        assert len(found) == 1
        return found[0]

    world.api(user="hana", roles=("viewer",), email="hana@example.test").get("me").expect(200)
    first = mirror()
    assert (first.name, first.email, first.roles) == ("Hana", "hana@example.test", ["viewer"])
    assert first.user_id == user_id_of(ISSUER, "hana")
    assert (first.issuer, first.tenant_id) == (ISSUER, world.tenant)
    world.api(user="hana", roles=("viewer",), email="hana@example.test").get("me").expect(200)
    assert mirror() == first
    world.api(user="hana", roles=("executor", "viewer"), email="hana@example.test", name="Hana K.").get("me").expect(
        200
    )
    assert (mirror().name, mirror().roles, mirror().id) == ("Hana K.", ["executor", "viewer"], first.id)


def test_signing_in_and_out_is_in_the_audit(world: World) -> None:
    admin = world.api(tenant=uuid4())
    browser = world.signed_in(admin)
    browser.get("/logout")
    admin.post("auth/revocations", {"token_id": "somebody"}).expect(201)
    actions = [entry["action"] for entry in admin.get("audit").expect(200)["items"]]
    assert {
        "user.created",
        "launch_code.created",
        "sign_in.created",
        "sign_in.updated",
        "revoked_token.created",
    } <= set(actions)


def test_whoever_is_not_signed_in_is_told_what_to_do(world: World) -> None:
    browser = world.browser()
    lab = browser.get("/lab")
    assert (lab.status_code, lab.headers["location"]) == (302, "/login?required")
    page = browser.get(lab.headers["location"])
    assert page.status_code == 401
    assert "Sign in" in page.text
    assert browser.post("/login", data={"password": "x"}).status_code in {403, 405}


def test_no_secret_is_in_the_log(world: World) -> None:
    """The last of this file: everything above has put its secrets on the wire."""
    world.launch(next="/lab")
    log = world.studio.log
    assert log.count("sign_in_refused") > 20
    assert len(world.secrets) > 40
    leaked = [secret for secret in world.secrets if secret in log or secret.rsplit(".", 1)[-1] in log]
    assert leaked == []


def test_behind_https_the_cookie_is_secure_and_may_be_embedded(tmp_path: Any, databases: Databases) -> None:
    team, tenant = Team(tmp_path / "team"), uuid4()
    with databases.fresh(tmp_path / "devstudio.db") as database:
        assert isinstance(database, Database)
        arguments = ("--TeamIdentityProvider.cookie_same_site=None", "--ServerApp.base_url=/studio/")
        studio = team.studio(tmp_path / "data", database.environment(), arguments)
        server = studio.url
        studio.url = f"{server}/studio"
        studio.api = Api(studio.url, team.token(tenant), "Bearer")
        with studio:
            made = studio.api.post("auth/launch-codes", {"next": "/studio/lab"}).expect(201)
            assert made["url"].startswith("/studio/auth/launch?code=")
            studio.api.post("auth/launch-codes", {"next": "/lab"}).problem(422)
            answer = httpx.get(server + made["url"])
            cookie = cookie_of(answer)
            assert answer.headers["location"] == "/studio/lab"
            assert (cookie["samesite"], bool(cookie["secure"]), cookie["path"]) == ("None", True, "/studio/")
            page = httpx.get(f"{studio.url}/lab", headers={"Cookie": f"{cookie.key}={cookie.value}"})
            (xsrf,) = [line for line in page.headers.get_list("set-cookie") if line.startswith("_xsrf")]
            assert "samesite=none" in xsrf.lower()
            assert "secure" in xsrf.lower()
