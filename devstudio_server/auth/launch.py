"""The pages of signing in: a launch code becomes a cookie, and whoever has neither is told what to do."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.logout import LogoutHandler
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from devstudio_server.auth.errors import BadCredentialError
from devstudio_server.auth.identity import TeamIdentityProvider, refused
from devstudio_server.auth.redirects import LAUNCH_PATH, checked_next
from devstudio_server.web.handlers import ProblemHandler, WebContext

_PRIVATE = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
_SIGN_IN = "Sign in where you came from, and open DevStudio from there.\n"


class LaunchHandler(ProblemHandler):
    """Exchanges a launch code for a cookie, and sends the browser on to an address without the code."""

    def set_default_headers(self) -> None:
        """Let no cache keep the answer, and no page learn the address that had the code in it."""
        super().set_default_headers()
        for name, value in _PRIVATE.items():
            self.set_header(name, value)

    def check_xsrf_cookie(self) -> None:
        """Ask for no more than the code: nobody can guess it, and the page that posts it is another site's."""

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Let the page of another site post a code, for the same reason."""
        del origin_to_satisfy_tornado
        return True

    @allow_unauthenticated
    async def get(self) -> None:
        """Exchange the code in the address."""
        code = self.get_query_argument("code", "", strip=False)
        await self._exchange(code, self.get_query_argument("next", "", strip=False))

    @allow_unauthenticated
    async def post(self) -> None:
        """Exchange the code in a form or in a JSON object."""
        sent = self._sent()
        await self._exchange(sent.get("code", ""), sent.get("next", ""))

    def _sent(self) -> dict[str, str]:
        if "json" not in self.request.headers.get("Content-Type", ""):
            return {name: self.get_body_argument(name, "", strip=False) for name in ("code", "next")}
        try:
            data = json.loads(self.request.body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            return {}
        return {name: value for name, value in data.items() if isinstance(value, str)}

    async def _exchange(self, code: str, path: str) -> None:
        path = checked_next(path, self.base_url) if path else f"{self.base_url}lab"
        provider = cast("TeamIdentityProvider", self.identity_provider)
        try:
            cookie, expires_at = await asyncio.get_running_loop().run_in_executor(
                provider.threads, provider.gate.exchange, code
            )
        except BadCredentialError as error:
            refused(error, self)
            raise web.HTTPError(401) from error
        provider.set_sign_in_cookie(self, str(cookie), expires_at)
        self.set_status(303)
        self.set_header("Location", path)
        await self.finish()


class TeamLoginHandler(JupyterHandler):
    """What a browser gets that is not signed in. There is no form: people come with a launch code."""

    @allow_unauthenticated
    def get(self) -> None:
        """Say how to sign in."""
        self.set_status(401)
        _say(self, _SIGN_IN)


class TeamLogoutHandler(LogoutHandler):
    """Ends the sign-in of the browser, not only its cookie."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Sign out, and say so."""
        provider = cast("TeamIdentityProvider", self.identity_provider)
        user: Any = self.current_user
        if user is not None:
            await asyncio.get_running_loop().run_in_executor(provider.threads, provider.gate.sign_out, user.actor)
        provider.clear_login_cookie(self)
        _say(self, "You are signed out. " + _SIGN_IN)


def _say(handler: JupyterHandler, words: str) -> None:
    handler.set_header("Content-Type", "text/plain; charset=UTF-8")
    handler.set_header("Cache-Control", "no-store")
    handler.finish(words)


def launch_routes(base_url: str, context: WebContext) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the routes of signing in and out in team mode."""
    return [
        (f"{base_url}{LAUNCH_PATH}", LaunchHandler, {"context": context}),
        (f"{base_url}login", TeamLoginHandler, {}),
        (f"{base_url}logout", TeamLogoutHandler, {}),
    ]
