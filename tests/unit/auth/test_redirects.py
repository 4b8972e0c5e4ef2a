"""A redirect leads to a path of this server, whatever a browser makes of the text."""

from __future__ import annotations

import pytest

from devstudio_server.auth.redirects import checked_next
from devstudio_server.kit.errors import Invalid

GOOD = ["/", "/lab", "/lab/tree/a%20b.ipynb", "/lab?next=//x", "/lab#//x", "/a:b@c", "/lab?x=https://evil.test/../.."]
BAD = [
    "", "lab", "//evil.test", "///evil.test", "////evil.test", "/\\evil.test", "\\/evil.test", "\\\\evil.test",
    "https://evil.test", "https:evil.test", "javascript:alert(1)", "/lab//evil.test", "/..//evil.test", "/./lab", "/..",
    "/lab/%2e%2e/x", "/lab/%2E./x", "/\tlab", "/lab\n", "\n/lab", " /lab", "/lab x", "/\x7f", "/lab/é",
    "?x", "#x", "/\x00",
]  # fmt: skip


@pytest.mark.parametrize("target", GOOD)
def test_a_path_of_this_server_is_taken_as_it_is(target: str) -> None:
    assert checked_next(target, "/") == target


@pytest.mark.parametrize("target", BAD)
def test_anything_else_is_refused(target: str) -> None:
    with pytest.raises(Invalid) as error:
        checked_next(target, "/")
    assert error.value.errors[0]["loc"] == ["next"]


def test_a_path_stays_below_the_base_of_the_server() -> None:
    assert checked_next("/studio/lab", "/studio/") == "/studio/lab"
    for outside in ("/lab", "/studio", "/studios/lab", "/studio/../lab"):
        with pytest.raises(Invalid, match="/studio/lab"):
            checked_next(outside, "/studio/")
