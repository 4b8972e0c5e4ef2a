"""Where a browser may go after it has signed in: paths of this server, and nowhere else."""

from __future__ import annotations

import re

from devstudio_server.kit.errors import Invalid

LAUNCH_PATH = "auth/launch"
# Printable ASCII without a backslash, which browsers read as a slash. Other characters come percent-encoded.
_PLAIN = re.compile(r"/[\x21-\x5b\x5d-\x7e]*", re.ASCII)


def checked_next(target: str, base_url: str) -> str:
    """Return ``target``, an absolute path below ``base_url``; raises `Invalid` for anything that may lead elsewhere.

    The path is read as it stands: a parser of addresses and a browser may see another host in the same text.
    """
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    walks = {".", ".."} & set(path.lower().replace("%2e", ".").split("/"))
    if not _PLAIN.fullmatch(target) or "//" in path or walks or not path.startswith(base_url):
        message = f"`next` takes a path of this server below {base_url}, such as {base_url}lab."
        raise Invalid(message, errors=[{"loc": ["next"], "msg": message}])
    return target
