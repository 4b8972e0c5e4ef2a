"""Diffs that attack, and diffs that are broken: what each is called, its bytes, and what has to be said of it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

from devstudio_server.patches.content import MAX_FILE_BYTES, MAX_FILES, MAX_PATCH_BYTES

LINES = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"
CRLF = b"one\r\ntwo\r\nthree\r\n"
FILES: Mapping[str, tuple[str, bytes]] = {
    "a.txt": ("100644", LINES),
    "crlf.txt": ("100644", CRLF),
    "mixed.txt": ("100644", b"unix\ndos\r\nmac\rend"),
    "noend.txt": ("100644", b"first\nlast"),
    "empty": ("100644", b""),
    "zero.dat": ("100644", b"\0\1\2\3" * 200),
    "latin.txt": ("100644", b"caf\xe9\n"),
    "run.sh": ("100755", b"echo\n"),
    "na me.txt": ("100644", b"blank\n"),
    "folder/inner.txt": ("100644", b"inner\n"),
    "Case.txt": ("100644", b"case\n"),
    "\u00e9.txt": ("100644", b"accent\n"),
    "link": ("120000", b"SENTINEL"),
    ".gitattributes": ("100644", b"* filter=evil text eol=crlf ident working-tree-encoding=UTF-16\n* merge=evil\n"),
}
"""The tree that every diff is for. SENTINEL becomes the folder outside."""


def create(path: str, content: bytes = b"new\n", mode: str = "100644", names: str | None = None) -> bytes:
    """Return a diff that makes a file of one line."""
    header = names or f"a/{path} b/{path}"
    side = header.split(" b/")[-1] if names else path
    return (
        f"diff --git {header}\nnew file mode {mode}\n--- /dev/null\n+++ b/{side}\n@@ -0,0 +1 @@\n+".encode() + content
    )


def edit(path: str = "a.txt", hunk: bytes = b"@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n", extra: str = "") -> bytes:
    """Return a diff that changes a file."""
    return f"diff --git a/{path} b/{path}\n{extra}--- a/{path}\n+++ b/{path}\n".encode() + hunk


def literal(content: bytes, size: int | None = None, kind: bytes = b"literal") -> bytes:
    """Return content as git writes it in a binary patch."""
    packed = zlib.compress(content)
    lines = []
    for at in range(0, len(packed), 52):
        part = packed[at : at + 52]
        length = len(part)
        letter = bytes([length + 64 if length <= 26 else length + 70])
        lines.append(letter + base64.b85encode(part, pad=True))
    return b"%s %d\n" % (kind, len(content) if size is None else size) + b"\n".join(lines) + b"\n\n"


def binary(path: str, block: bytes, oid: str = "1" * 40) -> bytes:
    """Return a diff that makes a binary file."""
    index = f"index {'0' * 40}..{oid}"
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n{index}\nGIT binary patch\n".encode() + block


def _moved(old: str, new: str, header: str | None = None) -> bytes:
    header = header or f"a/{old} b/{new}"
    return f"diff --git {header}\nsimilarity index 100%\nrename from {old}\nrename to {new}\n".encode()


def _delete(path: str) -> bytes:
    sides = f"--- a/{path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    return f"diff --git a/{path} b/{path}\ndeleted file mode 100644\n{sides}".encode()


_SET_MODE = "diff --git a/{0} b/{0}\nold mode {1}\nnew mode {2}\n"
_BOMB_DELTA = b"\xa0\x06" + b"\xff\xff\xff\xff\x7f" + b"\x01x"

OUTSIDE = {
    "parent": create("../x"),
    "parent in the middle": create("folder/../../x"),
    "parent at the end": create("folder/.."),
    "absolute": create("/etc/cron.d/x"),
    "absolute without prefix": create("x", names="/etc/passwd /etc/passwd"),
    "home": create("~/.ssh/authorized_keys"),
    "drive": create("C:/x.bat"),
    "backslashes": create("x", names='"a/..\\\\..\\\\x" "b/..\\\\..\\\\x"').replace(b"+++ b/..", b'+++ "b/..'),
    "parent hidden in octal": create("x", names='"a/\\056\\056/x" "b/\\056\\056/x"'),
    "dot": create("./x"),
    "empty part": create("folder//x"),
    "a stream of ntfs": create(".git::$INDEX_ALLOCATION/config"),
    "newline in the name": create("x", names='"a/x\\ny" "b/x\\ny"'),
    "zero in the name": create("x", names='"a/x\\000y" "b/x\\000y"'),
    "right to left": create("\u202egnp.sh"),
    "invisible": create("x\u200b.py"),
    "too long": create("x" * 300),
    "too deep": create("/".join("x" * 30)),
    "name that is no utf-8": create("x", names='"a/\\377" "b/\\377"'),
}
GIT_OWN = {
    "git hooks": create(".git/hooks/post-checkout", mode="100755"),
    "git config": create(".git/config"),
    "git in capitals": create(".GIT/config"),
    "git below": create("folder/.git/config"),
    "git with a blank": create(".git /config"),
    "git with a dot": create(".git./config"),
    "short name of ntfs": create("git~1/config"),
    "git of hfs": create(".g\u200cit/config"),
    "submodules": create(".gitmodules"),
    "attributes": create(".gitattributes"),
    "attributes below": create("folder/.gitattributes"),
    "attributes changed": edit(".gitattributes", b"@@ -1,2 +1,2 @@\n-x\n-y\n+x\n+y\n"),
    "spec": create(".devstudio/specs/x/requirements.md"),
    "spec in capitals": create(".DevStudio/restricted"),
}
MODES = {
    "link": create("l", b"/etc/passwd\n", "120000"),
    "link outside": create("l", b"../../outside\n", "120000"),
    "file made a link": _SET_MODE.format("a.txt", "100644", "120000").encode(),
    "link by its index line": edit(extra="index 1111111..2222222 120000\n"),
    "link changed": edit("link", b"@@ -1 +1 @@\n-SENTINEL\n\\ No newline at end of file\n+x\n"),
    "link deleted": b"diff --git a/link b/link\ndeleted file mode 120000\n",
    "submodule": create("sub", b"Subproject commit " + b"1" * 40 + b"\n", "160000"),
    "folder": create("d", mode="040000"),
    "device": create("d", mode="060644"),
    "pipe": create("p", mode="010644"),
    "socket": create("s", mode="140644"),
    "set-uid": create("s", mode="104755"),
    "group may write": create("s", mode="100664"),
    "mode that is no number": create("s", mode="rwxr-x"),
    "mode that is too long": create("s", mode="0000000100644"),
    "mode twice": create("s").replace(b"new file mode 100644\n", b"new file mode 100644\n" * 2),
    "half a change of mode": b"diff --git a/a.txt b/a.txt\nnew mode 100755\n",
    "write through a link": create("link/x"),
    "link first, then write": create("l", b"/tmp\n", "120000") + create("l/x"),
    "rename a link": _moved("link", "other"),
}
NAMES = {
    "two names that differ in case": create("new.txt") + create("NEW.txt"),
    "name that differs in case from one there": create("case.TXT"),
    "name that differs in its accent from one there": create("e\u0301.txt"),
    "folder that differs in case from one there": create("FOLDER/INNER.TXT"),
    "file where a folder is": create("folder"),
    "folder where a file is": create("a.txt/x"),
    "folder where a file is, in other case": create("case.txt/x"),
    "rename over a file": _moved("a.txt", "crlf.txt"),
    "rename out": _moved("a.txt", "../x"),
    "rename in": _moved("../x", "y"),
    "rename to git": _moved("a.txt", ".git/hooks/pre-commit"),
    "rename of another file than the header's": _moved("a.txt", "b.txt", "a/crlf.txt b/b.txt"),
    "rename to another file than the header's": _moved("a.txt", ".git/x", "a/a.txt b/b.txt"),
    "rename half": b"diff --git a/a.txt b/b.txt\nsimilarity index 100%\nrename from a.txt\n",
    "rename to itself": _moved("a.txt", "a.txt"),
    "two names without a rename": b"diff --git a/a.txt b/b.txt\n--- a/a.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-1\n+x\n",
    "copy": _moved("a.txt", "b.txt").replace(b"rename", b"copy"),
    "sides that name another file": edit().replace(b"+++ b/a.txt", b"+++ b/.git/config"),
    "old side that names another file": edit().replace(b"--- a/a.txt", b"--- a/crlf.txt"),
    "the same file twice": edit() + edit(hunk=b"@@ -8,2 +8,2 @@\n 8\n-9\n+nine\n"),
    "made and changed": create("x.txt") + edit("x.txt", b"@@ -1 +1 @@\n-new\n+newer\n"),
    "renamed and changed": _moved("a.txt", "b.txt") + edit(),
    "prefixes of another kind": edit().replace(b"a/a.txt", b"i/a.txt").replace(b"b/a.txt", b"w/a.txt"),
    "no prefixes": edit().replace(b"a/a.txt", b"a.txt").replace(b"b/a.txt", b"a.txt"),
    "quotes that do not close": create("x", names='"a/x "b/x'),
    "escape that git does not write": create("x", names='"a/\\q" "b/\\q"'),
    "file that is not there": edit("none.txt"),
    "file that is there, made anew": create("a.txt"),
    "delete what is not there": _delete("no"),
    "made and deleted at once": create("x").replace(b"--- /dev", b"deleted file mode 100644\n--- /dev"),
}
BROKEN = {
    "nothing": b"",
    "blanks": b" \n\t\n\n",
    "words": b"Please apply this.\n",
    "header alone": b"diff --git a/a.txt b/a.txt\n",
    "header cut": b"diff --git a/a.txt",
    "sides without hunk": b"diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n",
    "one side": b"diff --git a/a.txt b/a.txt\n--- a/a.txt\n@@ -1 +1 @@\n-1\n+x\n",
    "hunk without sides": b"diff --git a/a.txt b/a.txt\n@@ -1 +1 @@\n-1\n+x\n",
    "no git header": b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-1\n+x\n",
    "count too large": edit(hunk=b"@@ -1,6 +1,6 @@\n-1\n+one\n 2\n 3\n 4\n"),
    "count too small": edit(hunk=b"@@ -1,2 +1,2 @@\n-1\n+one\n 2\n 3\n 4\n"),
    "more old lines than counted": edit(hunk=b"@@ -1,1 +1,4 @@\n-1\n-2\n+one\n 3\n 4\n 5\n"),
    "count that is no number": edit(hunk=b"@@ -1,x +1 @@\n-1\n+one\n"),
    "count that is huge": edit(hunk=b"@@ -1,99999999999999999999 +1 @@\n-1\n+one\n"),
    "count that is negative": edit(hunk=b"@@ -1,-1 +1 @@\n-1\n+one\n"),
    "hunks that overlap": edit(hunk=b"@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n@@ -3,4 +3,4 @@\n 3\n-4\n+four\n 5\n 6\n"),
    "hunks out of order": edit(hunk=b"@@ -8,2 +8,2 @@\n 8\n-9\n+nine\n@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n"),
    "cut in the middle of a hunk": edit(hunk=b"@@ -1,3 +1,3 @@\n-1\n+one\n 2"),
    "line of no kind": edit(hunk=b"@@ -1,4 +1,4 @@\n-1\n+one\n?2\n 3\n 4\n"),
    "context that is not there": edit(hunk=b"@@ -1,4 +1,4 @@\n-1\n+one\n 22\n 3\n 4\n"),
    "removed line that is not there": edit(hunk=b"@@ -1,4 +1,4 @@\n-x\n+one\n 2\n 3\n 4\n"),
    "no newline where there is one": edit(hunk=b"@@ -8,2 +8,2 @@\n 8\n-9\n\\ No newline at end of file\n+nine\n"),
    "newline where there is none": edit("noend.txt", b"@@ -1,2 +1,2 @@\n first\n-last\n+end\n"),
    "lf for crlf": edit("crlf.txt", b"@@ -1,3 +1,3 @@\n-one\n+eins\n two\r\n three\r\n"),
    "whole diff in crlf": edit().replace(b"\n", b"\r\n"),
    "zero byte": edit(hunk=b"@@ -1,4 +1,4 @@\n-1\n+o\0ne\n 2\n 3\n 4\n"),
    "zero byte in a header": b"diff --git a/a\0 b/a\0\n",
    "utf-16": edit().decode().encode("utf-16"),
    "combined diff": b"diff --cc a.txt\nindex 1,2..3\n@@@ -1,1 -1,1 +1,1 @@@\n- 1\n -1\n++x\n",
    "binary without content": (
        b"diff --git a/zero.dat b/zero.dat\nindex 1111111..2222222 100644\n"
        b"Binary files a/zero.dat and b/zero.dat differ\n"
    ),
    "binary of another size": binary("b", literal(b"\0x", 7)),
    "binary that announces gigabytes": binary("b", literal(b"\0x", 99_999_999_999)),
    "binary that unpacks to more": binary("b", literal(b"\0" * 5_000_000, 100)),
    "delta that unpacks to gigabytes": binary("b", literal(_BOMB_DELTA, kind=b"delta")),
    "delta that is cut": binary("b", literal(b"\xff", kind=b"delta")),
    "binary that is no base85": binary("b", b"literal 3\nCzz,,,,\n\n"),
    "binary that does not unpack": binary("b", b"literal 3\nE" + base64.b85encode(b"12345", pad=True) + b"\n\n"),
    "binary line of another length": binary("b", b"literal 3\nzabc\n\n"),
    "binary without a block": binary("b", b""),
    "file that is no utf-8": edit("latin.txt", b"@@ -1 +1 @@\n-caf\xe9\n+cafe\n"),
    "patch in a patch": create("x") + b"+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n",
    "header between files": edit() + b"rename from a.txt\nrename to x\n",
    "changes nothing": edit(hunk=b"@@ -1,4 +1,4 @@\n-1\n+1\n 2\n 3\n 4\n"),
}
LARGE = {
    "file too large": create("x", b"y" * (MAX_FILE_BYTES + 1) + b"\n"),
    "binary file too large": binary("b", literal(b"\0" * (MAX_FILE_BYTES + 1))),
    "diff too large": create("x", b"y" * MAX_PATCH_BYTES + b"\n"),
    "too many files": b"".join(create(f"f{number}") for number in range(MAX_FILES + 1)),
    "many binary files": b"".join(binary(f"f{number}", literal(b"\0" * MAX_FILE_BYTES)) for number in range(20)),
}
REFUSED = {
    f"{group}: {name}": diff
    for group, cases in (
        ("outside", OUTSIDE), ("git", GIT_OWN), ("mode", MODES), ("name", NAMES), ("broken", BROKEN), ("large", LARGE)
    )
    for name, diff in cases.items()
}  # fmt: skip

TAKEN: Mapping[str, tuple[bytes, Mapping[str, bytes | None]]] = {
    "plain": (edit(), {"a.txt": b"one" + LINES[1:]}),
    "crlf kept": (
        edit("crlf.txt", b"@@ -1,3 +1,3 @@\n one\r\n-two\r\n+zwei\r\n three\r\n"),
        {"crlf.txt": b"one\r\nzwei\r\nthree\r\n"},
    ),
    "crlf made lf": (
        edit("crlf.txt", b"@@ -1,3 +1,3 @@\n one\r\n-two\r\n+two\n three\r\n"),
        {"crlf.txt": b"one\r\ntwo\nthree\r\n"},
    ),
    "every kind of line end": (
        edit("mixed.txt", b"@@ -1,3 +1,3 @@\n-unix\n+UNIX\n dos\r\n mac\rend\n\\ No newline at end of file\n"),
        {"mixed.txt": b"UNIX\ndos\r\nmac\rend"},
    ),
    "no newline at the end kept": (
        edit("noend.txt", b"@@ -1,2 +1,2 @@\n-first\n+FIRST\n last\n\\ No newline at end of file\n"),
        {"noend.txt": b"FIRST\nlast"},
    ),
    "newline at the end added": (
        edit("noend.txt", b"@@ -1,2 +1,2 @@\n first\n-last\n\\ No newline at end of file\n+last\n"),
        {"noend.txt": b"first\nlast\n"},
    ),
    "newline at the end taken": (
        edit(hunk=b"@@ -8,2 +8,2 @@\n 8\n-9\n+9\n\\ No newline at end of file\n"),
        {"a.txt": LINES[:-1]},
    ),
    "empty file made": (b"diff --git a/e b/e\nnew file mode 100644\nindex 0000000..e69de29\n", {"e": b""}),
    "file emptied": (
        edit("run.sh", b"@@ -1 +0,0 @@\n-echo\n", "index 1111111..2222222 100755\n"),
        {"run.sh": b""},
    ),
    "file deleted": (
        b"diff --git a/run.sh b/run.sh\ndeleted file mode 100755\n--- a/run.sh\n+++ /dev/null\n@@ -1 +0,0 @@\n-echo\n",
        {"run.sh": None},
    ),
    "rename": (_moved("a.txt", "new/b.txt"), {"a.txt": None, "new/b.txt": LINES}),
    "blank in the name": (
        edit("na me.txt", b"@@ -1 +1 @@\n-blank\n+white\n").replace(b"b/na me.txt\n@", b"b/na me.txt\t\n@"),
        {"na me.txt": b"white\n"},
    ),
    "name in quotes": (
        (
            b'diff --git "a/\\303\\251.txt" "b/\\303\\251.txt"\n--- "a/\\303\\251.txt"\n+++ "b/\\303\\251.txt"\n'
            b"@@ -1 +1 @@\n-accent\n+acute\n"
        ),
        {"\u00e9.txt": b"acute\n"},
    ),
    "letter around it": (
        b"From 1 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\nSubject: [PATCH] x\n\n---\n a.txt | 2 +-\n\n"
        + edit()
        + b"-- \n2.39.5\n\n",
        {"a.txt": b"one" + LINES[1:]},
    ),
    "binary": (
        binary("b", literal(bytes(range(256))), "c86626638e0bc8cf47ca49bb1525b40e9737ee64"),
        {"b": bytes(range(256))},
    ),
    "lines that look like a diff": (
        create("x", b"new\n").replace(b"+1 @@\n+new", b"+1,3 @@\n++++ b/.git/config\n+diff --git a/x b/x\n+-- "),
        {"x": b"+++ b/.git/config\ndiff --git a/x b/x\n-- \n"},
    ),
    "attributes of the tree ask for another encoding and a filter": (
        create("filtered.txt", b"$Id$ \xe2\x82\xac\n"),
        {"filtered.txt": "$Id$ \u20ac\n".encode()},
    ),
}
"""Legal oddities, with the files that come of them."""
