"""What can go wrong with key-value entries."""

from __future__ import annotations

from devstudio_server.kit.errors import Conflict, Invalid, NotFound, PreconditionFailed


class KvNotFound(NotFound):
    """No such entry in this tenant, or it has expired."""

    def __init__(self, scope: str) -> None:
        """Name the scope that was asked."""
        super().__init__(f"The scope “{scope}” has no such key. `GET /api/v1/kv/{scope}` lists those that it has.")


class KvStale(PreconditionFailed):
    """``If-Match`` names a version of an entry that is not there."""

    def __init__(self) -> None:
        """Say how to create it."""
        super().__init__(
            "You changed a version of an entry that does not exist any more. Send it without If-Match, or with "
            '`If-Match: "0"` to create it only if it is still missing.',
            headers={"ETag": '"0"'},
            current_version=0,
        )


class KvFull(Conflict):
    """The tenant has as many entries as are kept."""

    title = "Too many entries"

    def __init__(self, limit: int) -> None:
        """Say how many, and what to do."""
        super().__init__(
            f"There are {limit} entries, and no more are kept. Delete some, or give those that need not stay a `ttl_s`."
        )


class ScopeInvalid(Invalid):
    """The scope has none of the known forms."""

    def __init__(self) -> None:
        """List the forms."""
        message = "A scope is `global`, `project:<id>` or `session:<id>`, with the id of a project or spec session."
        super().__init__(message, errors=[{"loc": ["path", "scope"], "msg": message}])


class KeyInvalid(Invalid):
    """The key is empty, too long, or no text."""

    def __init__(self, longest: int) -> None:
        """Say what a key is."""
        message = f"A key is 1 to {longest} characters, without NUL, and not `.` or `..`; write `/` in it as `%2F`."
        super().__init__(message, errors=[{"loc": ["path", "key"], "msg": message}])
