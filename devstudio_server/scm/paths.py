"""Which paths a change may touch."""

from __future__ import annotations

import re
import unicodedata

from devstudio_server.scm.errors import UnsafePath

MAX_PATH = 255
MAX_DEPTH = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Names that Windows or HFS+ read as `.git`, after git's own list in `path.c`.
_GIT_NAMES = frozenset({".git", "git~1", ".gitmodules", ".gitattributes"})
# Unicode format characters, which HFS+ ignores in names, and lone surrogates, which UTF-8 cannot write.
_INVISIBLE = {"Cf", "Cs"}


def safe_path(path: str) -> str:
    """Return ``path`` when it is a plain relative path below the tree; raises `UnsafePath` that says what is wrong."""
    reason = _objection(path)
    if reason:
        raise UnsafePath(f"The path {path[:200]!r} {reason}.")
    return path


def _objection(path: str) -> str:
    parts = path.split("/")
    checks = (
        (not path or _bytes(path) > MAX_PATH, f"is empty or longer than {MAX_PATH} bytes"),
        (
            path.startswith(("/", "~")) or re.match(r"^[A-Za-z]:", path) is not None,
            "is absolute; paths are relative to the repository",
        ),
        ("\\" in path, "holds a backslash; use `/`"),
        (bool(_CONTROL.search(path)), "holds a control character"),
        (any(unicodedata.category(char) in _INVISIBLE for char in path), "holds an invisible character"),
        (any(part in ("", ".", "..") for part in parts), "leaves the repository or has an empty part"),
        (len(parts) > MAX_DEPTH, f"is deeper than {MAX_DEPTH} folders"),
        (any(_plain(part) in _GIT_NAMES for part in parts), "belongs to git itself"),
        (_plain(parts[0]) == ".devstudio", "belongs to the spec, which is changed through its documents"),
    )
    return next((reason for wrong, reason in checks if wrong), "")


def _bytes(path: str) -> int:
    return len(path.encode("utf-8", "surrogatepass"))


def _plain(part: str) -> str:
    """Return what a careless file system makes of a name: no case, no stream behind a colon, no dots at the end."""
    return part.casefold().split(":")[0].rstrip(" .")
