"""Whom credentials stand for, with two servers on one database: what one revokes, the other learns in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from devstudio_server.auth import recent
from devstudio_server.auth.codes import Code
from devstudio_server.auth.errors import BadCredentialError, Reason
from devstudio_server.auth.gate import Gate, SignInRules
from devstudio_server.auth.keys import key_file
from devstudio_server.auth.models import LaunchCode, RevokedToken, SignIn, UserRow
from devstudio_server.auth.service import IdentityService
from devstudio_server.auth.tokens import TokenRules, TokenVerifier
from devstudio_server.db import Actor, Units
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import Unauthorized, Unavailable
from support.databases import Database
from support.team import AUDIENCE, ISSUER, Team


@dataclass
class Servers:
    """Two servers of one team on one database."""

    team: Team
    units: Units
    here: Gate
    there: Gate
    tenant: UUID

    def rows(self, kind: Any, tenant: UUID | None = None) -> list[Any]:
        with self.units.begin(Actor(tenant or self.tenant, uuid4()), read_only=True) as session:
            return list(session.scalars(select(kind)).all())

    def revoke(self, actor: Actor) -> None:
        with self.units.begin(actor) as session:
            assert actor.credential is not None
            IdentityService(session, actor).revoke_token(actor.credential.token_id, self.here.longest_token)
        self.here.forget()

    def launch(self, actor: Actor, sign_in_s: int = 3600) -> str:
        with self.units.begin(actor) as session:
            return str(IdentityService(session, actor).launch(60, sign_in_s)[0])


@pytest.fixture
def servers(tmp_path: Path, database: Database) -> Iterator[Servers]:
    team, engine = Team(tmp_path), database.engine()
    units = Units(engine)
    verifier = TokenVerifier(TokenRules(ISSUER, AUDIENCE), key_file(str(team.key_file)))
    here, there = Gate(verifier, SignInRules()), Gate(verifier, SignInRules())
    here.open(units)
    there.open(units)
    yield Servers(team, units, here, there, uuid4())
    engine.dispose()


def refusal(ask: Any, credential: str) -> Reason:
    with pytest.raises(BadCredentialError) as error:
        ask(credential)
    return error.value.reason


def seconds_later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    later = recent.time.monotonic() + seconds
    monkeypatch.setattr(recent.time, "monotonic", lambda: later)


def test_nobody_comes_in_before_the_database_is_there(servers: Servers) -> None:
    closed = Gate(servers.here._verifier, SignInRules())
    with pytest.raises(Unavailable):
        closed.of_token(servers.team.token(servers.tenant))
    with pytest.raises(Unavailable):
        closed.of_cookie(str(Code.new(servers.tenant)))


def test_a_revocation_holds_here_at_once_and_there_within_seconds(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = servers.team.token(servers.tenant)
    actor = servers.here.of_token(token)
    servers.there.of_token(token)
    servers.revoke(actor)
    assert servers.here.known(token) is None
    assert refusal(servers.here.of_token, token) is Reason.REVOKED
    assert servers.there.known(token) is not None
    seconds_later(monkeypatch, recent.REMEMBERED_S + 0.1)
    assert servers.there.known(token) is None
    assert refusal(servers.there.of_token, token) is Reason.REVOKED


def test_a_server_that_has_not_heard_of_it_yet_makes_no_launch_code(servers: Servers) -> None:
    token = servers.team.token(servers.tenant)
    servers.revoke(servers.here.of_token(token))
    # As the other server still remembers them:
    actor = replace(servers.here.of_token(servers.team.token(servers.tenant)))
    stale = replace(actor, credential=replace(actor.credential, token_id=servers.rows(RevokedToken)[0].token_id))  # type: ignore[type-var]
    with pytest.raises(Unauthorized):
        servers.launch(stale)
    assert servers.rows(LaunchCode) == []


def test_an_ended_sign_in_makes_no_launch_code(servers: Servers) -> None:
    cookie, _ = servers.here.exchange(servers.launch(servers.here.of_token(servers.team.token(servers.tenant))))
    browser = servers.there.of_cookie(str(cookie))
    servers.here.sign_out(browser)
    with pytest.raises(Unauthorized):
        servers.launch(browser)
    assert refusal(servers.here.of_cookie, str(cookie)) is Reason.COOKIE


def test_a_sign_in_ends_by_itself(servers: Servers) -> None:
    actor = servers.here.of_token(servers.team.token(servers.tenant))
    cookie, ends = servers.here.exchange(servers.launch(actor, 100))
    assert timedelta(seconds=90) < ends - now() <= timedelta(seconds=100)
    assert servers.here.of_cookie(str(cookie)).credential.expires_at == ends  # type: ignore[union-attr]
    with servers.units.begin(actor) as session:
        session.execute(update(SignIn).values(expires_at=now() - timedelta(seconds=1)))
    servers.here.forget()
    assert refusal(servers.here.of_cookie, str(cookie)) is Reason.COOKIE


def test_what_is_long_over_is_removed(servers: Servers) -> None:
    actor = servers.here.of_token(servers.team.token(servers.tenant))
    servers.here.exchange(servers.launch(actor))
    other = servers.here.of_token(servers.team.token(servers.tenant, user="bob"))
    servers.revoke(servers.here.of_token(servers.team.token(servers.tenant, user="carl")))
    with servers.units.begin(actor) as session:
        for kind in (LaunchCode, SignIn, RevokedToken):
            session.execute(update(kind).values(expires_at=now() - timedelta(hours=25)))
    servers.launch(other)
    assert [len(servers.rows(kind)) for kind in (LaunchCode, SignIn, RevokedToken)] == [1, 0, 0]


def test_somebody_may_belong_to_two_tenants(servers: Servers) -> None:
    second = uuid4()
    one = servers.here.of_token(servers.team.token(servers.tenant))
    two = servers.here.of_token(servers.team.token(second, roles=("viewer",)))
    assert one.user_id == two.user_id
    assert (one.tenant_id, two.tenant_id) == (servers.tenant, second)
    assert [row.roles for row in servers.rows(UserRow)] == [["admin_devstudio"]]
    assert [row.roles for row in servers.rows(UserRow, second)] == [["viewer"]]


def test_requests_write_nothing_while_nothing_changes(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[Actor] = []
    begin = Units.begin

    def counted(units: Units, actor: Actor, *, read_only: bool = False) -> Any:
        if not read_only:
            writes.append(actor)
        return begin(units, actor, read_only=read_only)

    monkeypatch.setattr(Units, "begin", counted)
    for _ in range(20):
        servers.here.of_token(servers.team.token(servers.tenant))
    assert len(writes) == 1
    servers.here.of_token(servers.team.token(servers.tenant, roles=("viewer",)))
    assert len(writes) == 2
    seconds_later(monkeypatch, 3601)
    servers.here.of_token(servers.team.token(servers.tenant, roles=("viewer",)))
    assert len(writes) == 3


def test_it_is_seen_when_somebody_was_here_last(servers: Servers) -> None:
    servers.here.of_token(servers.team.token(servers.tenant))
    (first,) = servers.rows(UserRow)
    assert abs(first.last_seen_at - now()) < timedelta(seconds=10)
    long_ago = now() - timedelta(days=3)
    with servers.units.begin(Actor(servers.tenant, uuid4())) as session:
        session.execute(update(UserRow).values(last_seen_at=long_ago))
    servers.there.of_token(servers.team.token(servers.tenant))
    assert servers.rows(UserRow)[0].last_seen_at > long_ago


def test_guesses_leave_nothing_behind(servers: Servers) -> None:
    stranger = uuid4()
    for value in (str(Code.new(stranger)), "x", f"{stranger}.{'a' * 43}"):
        assert refusal(servers.here.of_cookie, value) is Reason.COOKIE
        assert refusal(servers.here.exchange, value) is Reason.LAUNCH_CODE
    assert stranger not in servers.units.tenants()
    with servers.units.begin(Actor(stranger, uuid4()), read_only=True) as session:
        assert session.scalars(select(func.count(LaunchCode.id))).one() == 0
