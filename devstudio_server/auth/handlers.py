"""HTTP of signing in and out: launch codes, sign-out, revocations."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from devstudio_server.auth.errors import NoTeam
from devstudio_server.auth.gate import Gate
from devstudio_server.auth.permissions import Permission
from devstudio_server.auth.redirects import LAUNCH_PATH, checked_next
from devstudio_server.auth.schemas import LaunchCodeCreate, LaunchCodeRead, RevocationCreate, RevocationRead
from devstudio_server.auth.service import IdentityService
from devstudio_server.db import after_commit
from devstudio_server.kit.clock import now
from devstudio_server.web import Call, Operations

operations = Operations("auth")


@operations.operation(
    "POST",
    "auth/launch-codes",
    permission=None,
    summary="Make a launch code",
    status=201,
    errors=(NoTeam,),
    secret_answer=True,
)
def create_launch_code(call: Call, body: LaunchCodeCreate) -> LaunchCodeRead:
    """Make a code that signs one browser in as you, once, within a minute: open `url` there."""
    rules = _gate(call).rules
    path = checked_next(body.next, rules.base_url) if body.next else ""
    code, expires_at = IdentityService(call.session, call.actor).launch(rules.launch_code_s, rules.sign_in_s)
    query = {"code": str(code)} | ({"next": path} if path else {})
    url = f"{rules.base_url}{LAUNCH_PATH}?{urlencode(query, quote_via=quote, safe='/')}"
    return LaunchCodeRead(code=str(code), expires_at=expires_at, url=url)


@operations.operation("POST", "auth/sign-out", permission=None, summary="Sign out", errors=(NoTeam,))
def sign_out(call: Call) -> None:
    """End your sign-in. A token that you sent is refused from now on, and so is every sign-in that came from it."""
    gate = _gate(call)
    IdentityService(call.session, call.actor).sign_out(gate.longest_token)
    after_commit(call.session, gate.forget)


@operations.operation(
    "POST",
    "auth/revocations",
    permission=Permission.USER_REVOKE,
    summary="Refuse a token or a user's tokens",
    status=201,
    errors=(NoTeam,),
)
def revoke(call: Call, body: RevocationCreate) -> RevocationRead:
    """Refuse one token by its `jti`, or all that a user has, and end the sign-ins that came from them."""
    gate, service = _gate(call), IdentityService(call.session, call.actor)
    after_commit(call.session, gate.forget)
    if body.user_id is None:
        ended = service.revoke_token(body.token_id or "", gate.longest_token)
        return RevocationRead(token_id=body.token_id, user_id=None, issued_before=None, sign_ins_ended=ended)
    before = now() + gate.clock_skew  # the clock of who made the tokens may be that far ahead
    ended = service.revoke_user(body.user_id, before, gate.longest_token)
    return RevocationRead(token_id=None, user_id=body.user_id, issued_before=before, sign_ins_ended=ended)


def _gate(call: Call) -> Gate:
    if call.actor.sole_user:
        message = "This server serves one local user, who signs in with Jupyter's token. Team mode: docs/team.md."
        raise NoTeam(message)
    return call.port(Gate)
