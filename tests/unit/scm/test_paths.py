"""Which paths a change may touch."""

from __future__ import annotations

import pytest

from devstudio_server.scm.errors import UnsafePath
from devstudio_server.scm.paths import safe_path

HOSTILE = [
    "", "/", "/etc/passwd", "~/x", "~root/.ssh/id", "C:\\x", "c:/x", "C:", "..", "../x", "a/../../x", "a/..", "./a",
    "a/./b", "a//b", "a/", "//x", "a\\..\\b", "..\\x", "a\x00b", "a\nb", "a\tb", "a\rb", "\x7f", "\x1b[31m", ".git",
    ".git/config", "a/.git/hooks/post-checkout", ".GIT/config", ".Git", ".git.", ".git ", ".git. . /x", "git~1/config",
    "GIT~1", ".gitmodules", "a/.gitmodules", ".gitattributes", "a/.GITATTRIBUTES", ".g\u200cit/config", ".git\u200d",
    "\u202egit.x", "\ufeffa", "a\u00adb", ".git::$INDEX_ALLOCATION/config", ".git:x", ".devstudio/specs/x/tasks.md",
    ".DEVSTUDIO/x", ".devstudio", ".devstudio./x", ".devstudio::$DATA", "x" * 256, "é" * 128, "a/" * 20 + "b",
    "\ud800", "a/\udcff",
]  # fmt: skip
GOOD = [
    "a", "a/b.py", "src/é/日本.py", "with space.txt", " leading", "a.b.c", "...", "..a", "a..",
    ".gitignore", ".github/w.yml",
    "a/.devstudio/x", ".devstudiox", "gitx", "-rf", "--help", "*", "a'b\"c", "$HOME", ":a", "ab:c", "x" * 255,
    "a/" * 19 + "b",
    "#", "%2e%2e/x",
]  # fmt: skip


def test_there_are_enough_hostile_paths() -> None:
    assert len(set(HOSTILE)) >= 50


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_are_refused_with_a_reason(path: str) -> None:
    with pytest.raises(UnsafePath) as refused:
        safe_path(path)
    assert refused.value.status == 422
    assert len(refused.value.detail) > 25
    assert "\x00" not in refused.value.detail
    refused.value.detail.encode()


@pytest.mark.parametrize("path", GOOD)
def test_plain_paths_pass_unchanged(path: str) -> None:
    assert safe_path(path) == path
