"""Where a browser may go after it has signed in: paths of this server, and nowhere else."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from devstudio_server.kit.errors import Invalid

LAUNCH_PATH = "auth/launch"
# Printable ASCII without a backslash, which browsers read as a slash. Other characters come percent-encoded.
_PLAIN = re.compile(r"/[\x21-\x5b\x5d-\x7e]*", re.ASCII)


def checked_next(path: str, base_url: str) -> str:
    """Return ``path``, an absolute path below ``base_url``; raises `Invalid` for anything that may lead elsewhere."""
    parts = urlsplit(path) if _PLAIN.fullmatch(path) else None
    walked = parts.path.split("/") if parts else []
    if parts is None or parts.scheme or parts.netloc or "//" in parts.path or ".." in walked or "." in walked:
        message = "`next` takes a path of this server, such as `/lab`."
        raise Invalid(message, errors=[{"loc": ["next"], "msg": message}])
    if not parts.path.startswith(base_url):
        message = f"`next` takes a path below {base_url}."
        raise Invalid(message, errors=[{"loc": ["next"], "msg": message}])
    return path
