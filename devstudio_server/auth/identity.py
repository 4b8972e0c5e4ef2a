"""Who sends a request: Jupyter's identity providers for the local mode (one user) and for a team (signed tokens)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_DNS, UUID, uuid5

from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider, User
from tornado import web
from traitlets import Enum, Float, Int, TraitError, Unicode, default, validate

from devstudio_server.auth.errors import BadCredentialError, Reason, SettingsError
from devstudio_server.auth.gate import LAUNCH_CODE_S, SIGN_IN_S, Gate, SignInRules
from devstudio_server.auth.keys import JWKS_TIMEOUT_S, JwksUrl, KeySource, key_file, secret_key
from devstudio_server.auth.permissions import Role, permissions_of
from devstudio_server.auth.surface import checked
from devstudio_server.auth.tokens import CLOCK_SKEW_S, MAX_LIFETIME_S, MAX_TOKEN_BYTES, TokenRules, TokenVerifier
from devstudio_server.auth.user import StudioUser
from devstudio_server.db import Actor, set_current_actor
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.logging import get_logger
from devstudio_server.kit.metrics import AUTH_FAILURES

# Fixed, so that the same data folder opens again after a new token.
LOCAL_TENANT_ID: UUID = uuid5(NAMESPACE_DNS, "local.tenant.devstudio.renum")
_MADE_UP = "Anonymous "
LOCAL_USER_ID: UUID = uuid5(NAMESPACE_DNS, "local.user.devstudio.renum")
AUTH_VARIABLE = "DEVSTUDIO_AUTH"
AuthMode = Literal["local", "team"]
_OURS = (
    "authorizer",
    "contents_manager",
    "kernel_manager",
    "kernel_spec_manager",
    "session_manager",
    "config_manager",
)
"""The parts of Jupyter that have to know of tenants."""
_BEARER = re.compile(r"Bearer (\S+)", re.ASCII)
_log = get_logger("auth")


def auth_mode() -> AuthMode:
    """Return what ``DEVSTUDIO_AUTH`` asks for, ``local`` by default; raises `SettingsError` for anything else."""
    asked = os.environ.get(AUTH_VARIABLE, "").strip().lower() or "local"
    if asked == "local":
        return "local"
    if asked == "team":
        return "team"
    message = f"{AUTH_VARIABLE} is {asked!r}; it takes `local` (one user, Jupyter's token) or `team` (signed tokens)."
    raise SettingsError(message)


def local_actor(user: Any = None) -> Actor:
    """Return the local user. ``user`` is what Jupyter's identity provider found, and only gives the name.

    A token names nobody, so Jupyter makes up an "Anonymous …" for each browser; that is not kept.
    """
    name = str(getattr(user, "display_name", None) or "")
    if name.startswith(_MADE_UP):
        name = ""
    roles = [Role.ADMIN_DEVSTUDIO, Role.OPERATOR]
    return Actor(
        tenant_id=LOCAL_TENANT_ID,
        user_id=LOCAL_USER_ID,
        name=name or "Local user",
        permissions=permissions_of(Role),
        sole_user=True,
        roles=frozenset(map(str, roles)),
    )


def refused(error: BadCredentialError, handler: Any) -> None:
    """Count and log a credential that was refused, without the credential."""
    AUTH_FAILURES.labels(str(error.reason)).inc()
    _log.warning("sign_in_refused", reason=str(error.reason), remote_ip=handler.request.remote_ip)


def described(user: User) -> dict[str, Any]:
    """Return what Jupyter's clients hear about ``user``: its own fields, and nothing of the actor."""
    return {field.name: getattr(user, field.name) for field in fields(User)}


class LocalIdentityProvider(PasswordIdentityProvider):
    """Jupyter's token or password opens the server, and whoever holds it is the one user of the one tenant."""

    def get_user(self, handler: Any) -> Any:
        """Return the local user for a request that Jupyter's token, password or cookie opens, else None."""
        return checked(handler, self._studio_user(handler))

    async def _studio_user(self, handler: Any) -> StudioUser | None:
        found = await self._get_user(handler)
        if found is None:
            set_current_actor(None)
            if handler.request.headers.get("Authorization") or handler.get_argument("token", ""):
                refused(BadCredentialError(Reason.LOCAL_TOKEN), handler)
            return None
        user = StudioUser(**described(found), actor=local_actor(found))
        set_current_actor(user.actor)
        return user

    def identity_model(self, user: User) -> dict[str, Any]:
        """Return the user as `/api/me` shows it."""
        return described(user)


class TeamIdentityProvider(IdentityProvider):
    """A signed token in the Authorization header, or the cookie of a launch, says who it is and of which tenant.

    Jupyter's own token, its password and its login form are off.
    """

    challenge = 'Bearer realm="devstudio"'
    """What a 401 says in `WWW-Authenticate`."""

    issuer = Unicode(help="Who makes the tokens (`iss`). Default: $DEVSTUDIO_JWT_ISSUER.").tag(config=True)
    audience = Unicode(help="Whom they are for (`aud`). Default: $DEVSTUDIO_JWT_AUDIENCE.").tag(config=True)
    jwks_url = Unicode(help="Address of the public keys. Default: $DEVSTUDIO_JWT_JWKS_URL.").tag(config=True)
    key_file = Unicode(help="File of the public keys, PEM or JWKS. Default: $DEVSTUDIO_JWT_KEY_FILE.").tag(config=True)
    secret = Unicode(help="Shared secret of HS256, 32 bytes or more. Default: $DEVSTUDIO_JWT_SECRET.").tag(config=True)
    clock_skew_s = Float(CLOCK_SKEW_S, min=0, max=300, help="How far clocks may be apart, in seconds.").tag(config=True)
    max_token_bytes = Int(MAX_TOKEN_BYTES, min=512, help="A longer token is refused unread.").tag(config=True)
    max_token_lifetime_s = Int(
        MAX_LIFETIME_S, min=60, help="Longest time from `iat` to `exp`, in seconds; a token for longer is refused."
    ).tag(config=True)
    jwks_timeout_s = Float(JWKS_TIMEOUT_S, min=0.1, help="How long the address of the keys may take, in seconds.").tag(
        config=True
    )

    sign_in_lifetime_s = Int(
        SIGN_IN_S, min=60, help="How long a browser stays signed in after a launch code, in seconds."
    ).tag(config=True)
    launch_code_lifetime_s = Int(LAUNCH_CODE_S, min=5, max=300, help="How long a launch code opens, in seconds.").tag(
        config=True
    )
    cookie_same_site = Enum(
        ("Lax", "Strict", "None"),
        "Lax",
        help="SameSite of the cookie. `None` lets pages of other sites embed the studio, over HTTPS only.",
    ).tag(config=True)

    @default("issuer")
    def _default_issuer(self) -> str:
        return os.environ.get("DEVSTUDIO_JWT_ISSUER", "").strip()

    @default("audience")
    def _default_audience(self) -> str:
        return os.environ.get("DEVSTUDIO_JWT_AUDIENCE", "").strip()

    @default("jwks_url")
    def _default_jwks_url(self) -> str:
        return os.environ.get("DEVSTUDIO_JWT_JWKS_URL", "").strip()

    @default("key_file")
    def _default_key_file(self) -> str:
        return os.environ.get("DEVSTUDIO_JWT_KEY_FILE", "").strip()

    @default("secret")
    def _default_secret(self) -> str:
        return os.environ.get("DEVSTUDIO_JWT_SECRET", "").strip()

    @default("token")
    def _token_default(self) -> str:
        return ""

    @validate("token")
    def _no_token(self, _proposal: Any) -> str:
        return ""  # Jupyter's token opens nothing here, so none is made, printed or put into pages

    @default("updatable_fields")
    def _default_updatable_fields(self) -> list[str]:
        return []

    @property
    def login_available(self) -> bool:
        """There is no login form: people come with a token or with a launch code."""
        return False

    def get_handlers(self) -> list[tuple[str, object]]:
        """Return none: `devstudio_server.auth.launch` has the pages of a team, and they need the database."""
        return []

    def __init__(self, **options: Any) -> None:
        """Read the settings; raises `TraitError` when they do not fit together, which ends the start."""
        super().__init__(**options)
        try:
            self.gate = Gate(TokenVerifier(self._rules(), self._key_source()), self._sign_in_rules())
        except SettingsError as error:
            message = f"Team mode ({AUTH_VARIABLE}=team) cannot start: {error}"
            raise TraitError(message) from error
        self.threads = ThreadPoolExecutor(4, thread_name_prefix="devstudio-identity")

    def _rules(self) -> TokenRules:
        needed = {"DEVSTUDIO_JWT_ISSUER": self.issuer, "DEVSTUDIO_JWT_AUDIENCE": self.audience}
        missing = [name for name, value in needed.items() if not value]
        if missing:
            message = f"set {' and '.join(missing)} to what the tokens of your identity provider say."
            raise SettingsError(message)
        return TokenRules(
            self.issuer, self.audience, self.clock_skew_s, self.max_token_bytes, self.max_token_lifetime_s
        )

    def _sign_in_rules(self) -> SignInRules:
        base_url = str(getattr(self.parent, "base_url", "/"))
        return SignInRules(base_url, self.launch_code_lifetime_s, self.sign_in_lifetime_s)

    def _key_source(self) -> KeySource:
        """Return the one source of keys; two would let a token choose between them."""
        sources = {
            "DEVSTUDIO_JWT_JWKS_URL": self.jwks_url,
            "DEVSTUDIO_JWT_KEY_FILE": self.key_file,
            "DEVSTUDIO_JWT_SECRET": self.secret,
        }
        given = [name for name, value in sources.items() if value]
        if len(given) != 1:
            message = f"set exactly one of {', '.join(sources)}; {' and '.join(given) or 'none'} is set."
            raise SettingsError(message)
        if self.jwks_url:
            return JwksUrl(self.jwks_url, timeout_s=self.jwks_timeout_s)
        return key_file(self.key_file) if self.key_file else secret_key(self.secret)

    def get_user(self, handler: Any) -> Any:
        """Return who sends a request, else None."""
        return checked(handler, self._studio_user(handler))

    async def _studio_user(self, handler: Any) -> StudioUser | None:
        set_current_actor(None)
        try:
            actor = await self._actor_of_request(handler)
        except BadCredentialError as error:
            refused(error, handler)
            actor = None
        except AppError as error:  # whether it is revoked cannot be asked now; nobody comes in unasked
            if handler.__class__.__module__.startswith("devstudio_server."):
                raise
            raise web.HTTPError(error.status, error.detail) from error
        user = None if actor is None else StudioUser.of(actor)
        set_current_actor(actor)
        return user

    async def _actor_of_request(self, handler: Any) -> Actor | None:
        """Return who is signed in, None when nobody says so. A header that is no good is not made good by a cookie."""
        sent = handler.request.headers.get_list("Authorization")
        if sent:
            match = _BEARER.fullmatch(sent[0]) if len(sent) == 1 else None
            if match is None:
                raise BadCredentialError(Reason.SCHEME)
            actor = await self._look_up(match.group(1), self.gate.of_token)
            handler._token_authenticated = True  # noqa: SLF001 - what Jupyter's providers note, for XSRF and Origin
            return actor
        cookie = handler.get_cookie(self.get_cookie_name(handler))
        if not cookie:
            return None
        try:
            return await self._look_up(cookie, self.gate.of_cookie)
        except BadCredentialError:
            self.clear_login_cookie(handler)
            raise

    async def _look_up(self, credential: str, ask: Callable[[str], Actor]) -> Actor:
        """Return whom ``credential`` stands for; a thread asks, because that may block."""
        known = self.gate.known(credential)
        if known is not None:
            return known
        return await asyncio.get_running_loop().run_in_executor(self.threads, ask, credential)

    def set_sign_in_cookie(self, handler: Any, value: str, expires_at: datetime) -> None:
        """Give the browser the cookie of its sign-in. No script can read it."""
        handler.set_cookie(
            self.get_cookie_name(handler),
            value,
            expires=expires_at,
            path=handler.base_url,
            httponly=True,
            secure=self._wants_secure(handler),
            samesite=self.cookie_same_site,
        )

    def _wants_secure(self, handler: Any) -> bool:
        if self.secure_cookie is None:
            return self.cookie_same_site == "None" or handler.request.protocol == "https"
        return bool(self.secure_cookie)

    def validate_security(self, app: Any, ssl_options: dict[str, Any] | None = None) -> None:
        """Refuse to start when a part of Jupyter that tenants share is not ours; raises `TraitError`."""
        super().validate_security(app, ssl_options)
        foreign = [name for name in _OURS if not type(getattr(app, name)).__module__.startswith("devstudio_server.")]
        if foreign or app.allow_unauthenticated_access:
            wrong = [f"ServerApp.{name}_class" for name in foreign] or ["ServerApp.allow_unauthenticated_access"]
            message = (
                f"Team mode ({AUTH_VARIABLE}=team) cannot start: {', '.join(wrong)} would not keep tenants apart. "
                "Start with DevStudio's jupyter_config.py, and remove what replaces these settings."
            )
            raise TraitError(message)

    def get_token(self, handler: Any) -> str | None:
        """Return nothing: a token in the address is never read."""
        del handler
        return None

    def process_login_form(self, handler: Any) -> User | None:
        """Refuse: there is no login form."""
        del handler
        return None

    def identity_model(self, user: User) -> dict[str, Any]:
        """Return the user as `/api/me` shows it."""
        return described(user)
