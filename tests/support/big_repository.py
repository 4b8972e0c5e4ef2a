"""Repositories made quickly: any files at once, and ones as large as those of a company, the same for the same seed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from random import Random

from devstudio_server.scm import GitRepository

_SYLLABLES = (
    "ba",
    "cor",
    "del",
    "fin",
    "gra",
    "hol",
    "jun",
    "ka",
    "lim",
    "mor",
    "nex",
    "pol",
    "qua",
    "rin",
    "sol",
    "tur",
)


def repository_of(path: Path, files: Iterable[tuple[str, bytes]]) -> GitRepository:
    """Make a repository whose `main` has ``files``, through one git process."""
    made = GitRepository(path)
    made.create("main")
    command = ["git", f"--git-dir={path}", "fast-import", "--quiet", "--force"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"commit refs/heads/main\ncommitter a <a@example.org> 0 +0000\ndata 1\nx\n")
        for name, content in files:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "surrogateescape")
            process.stdin.write(b'M 100644 inline "%s"\ndata %d\n' % (quoted, len(content)) + content + b"\n")
        process.stdin.close()
    assert process.returncode == 0
    return made


class Company:
    """A code base with layers, tests and documents, in words that are as unevenly spread as people's are."""

    def __init__(self, files: int, seed: int = 1) -> None:
        self.count = files
        self._random = Random(seed)
        self._words = sorted({"".join(self._random.choices(_SYLLABLES, k=3)) for _ in range(6000)})
        self._random.shuffle(self._words)
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(len(self._words))))

    def words(self, count: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights, k=count)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield modules, three in four in Python; each fifth has a test."""
        modules: list[str] = []
        for number in range(self.count):
            if number % 5 == 4 and modules:
                yield self._test(modules[-1], number)
            elif number % 16 == 7:
                yield f"web/area{number % 40}/{'-'.join(self.words(2))}-{number}.ts", self._script()
            else:
                name = f"area{number % 40}.part{number % 11}.{'_'.join(self.words(2))}_{number}"
                yield f"src/{name.replace('.', '/')}.py", self._module(modules)
                modules.append(name)

    def _module(self, modules: list[str]) -> bytes:
        imports = [f"from {name} import {self.words(1)[0]}" for name in modules[-3:-1]]
        functions = [self._function() for _ in range(self._random.randint(2, 6))]
        return "\n".join([f'"""{" ".join(self.words(12))}."""', *imports, *functions]).encode()

    def _function(self) -> str:
        lines = [f"    {'_'.join(self.words(2))} = {self.words(1)[0]}({self.words(1)[0]})" for _ in range(9)]
        return "\n".join([f"\n\ndef {'_'.join(self.words(2))}(value: int) -> int:", *lines, "    return value"])

    def _script(self) -> bytes:
        lines = [f"export function {''.join(self.words(2))}(value: number): number {{\n  return value;\n}}"]
        return "\n".join(lines * self._random.randint(2, 6)).encode()

    def _test(self, module: str, number: int) -> tuple[str, bytes]:
        stem = module.rsplit(".", 1)[1]
        text = f"from {module} import x\n\n\ndef test_{'_'.join(self.words(3))}() -> None:\n    assert x({number})\n"
        return f"tests/{module.split('.', maxsplit=1)[0]}/test_{stem}.py", text.encode()
