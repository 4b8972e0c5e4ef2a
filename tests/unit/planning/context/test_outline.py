"""What files define and import, in each language, broken ones too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.planning.context.outline import MAX_SYMBOLS, Outline, outline

PYTHON = b"""import a.b as c, d
from .x import (y, z as w)
from .. import q

@wraps
def first(a: int,
          *b) -> str:
    def inner(): ...

class Base(Other):
    async def method(self): return 1

if TYPE_CHECKING:
    def checked(): pass
"""
SCRIPT = b"""import {a} from "./b"; const d = require('./e'), h = (x) => { const hidden = () => 1; };
export {z} from "./q"; const lazy = await import("./lazy");
export default class A extends B { m(a) {} static async n() {} }
export const f = async function (x) {};
export function* g(a, b) {}
"""
TYPED = b"""import type { T } from "./t";
export interface I<T> { a: string; f(): void }
type U = { a: 1 };
enum E { A }
export abstract class Q { abstract m(): void }
namespace N { export function x(): void {} }
"""


def signatures(made: Outline) -> list[str]:
    return [f"{'  ' * symbol.depth}{symbol.signature}" for symbol in made.symbols]


def test_python() -> None:
    made = outline("a.py", PYTHON)
    assert signatures(made) == [
        "def first(a: int, *b) -> str",
        "class Base(Other)",
        "  async def method(self)",
        "def checked()",
    ]
    assert made.imports == ("a.b", "d", ".x", ".x.y", ".x.z", "..", "..q")
    assert [(symbol.line, symbol.end) for symbol in made.symbols] == [(5, 7), (9, 10), (10, 10), (13, 13)]


def test_javascript() -> None:
    made = outline("a.mjs", SCRIPT)
    assert signatures(made) == [
        "h = (x)",
        "class A extends B",
        "  m(a)",
        "  static async n()",
        "f = async function (x)",
        "function* g(a, b)",
    ]
    assert made.imports == ("./b", "./e", "./q", "./lazy")


@pytest.mark.parametrize("name", ["a.ts", "a.tsx"])
def test_typescript(name: str) -> None:
    made = outline(name, TYPED)
    assert signatures(made) == [
        "interface I<T>",
        "  f(): void",
        "type U = { a: 1 };",
        "enum E",
        "abstract class Q",
        "  abstract m(): void",
        "namespace N",
        "  function x(): void",
    ]
    assert made.imports == ("./t",)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.go", b"func (s *Server) Run(a int) error {\ntype X struct {\n\tfunc", ["Run", "X"]),
        ("a.rs", b"pub(crate) async fn parse<T>(a: T) {\nimpl Foo for Bar {\n", ["parse", "Foo"]),
        ("A.java", b"public final class A {\n  private static int b() {\n  interface C {\n", ["A", "C"]),
        ("a.md", b"# One\ntext # no\n### Three\n", ["One", "Three"]),
        ("a.rb", b"module M\n  class C\n    def m(a)\n", ["M", "C", "m"]),
    ],
)
def test_other_languages_by_their_lines(name: str, text: bytes, expected: list[str]) -> None:
    assert [symbol.name for symbol in outline(name, text).symbols] == expected


def test_broken_code_keeps_what_can_be_read() -> None:
    made = outline("a.py", b"def good(a): pass\n\n<<<<<<< HEAD\ndef broken(\n=======\nclass Fine:\n    pass\n")
    assert "good" in [symbol.name for symbol in made.symbols]


def test_symbols_are_bounded() -> None:
    assert len(outline("a.py", b"def f(): 0\n" * 5000).symbols) == MAX_SYMBOLS


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["a.py", "a.ts", "a.tsx", "a.js", "a.go", "a.md", "a"]),
    content=st.one_of(
        st.binary(max_size=400),
        st.lists(
            st.sampled_from(
                ["def f(", "class A", "{", "}", ":", "\n", "    ", "import ", "from '", "=>", "<", "`${", "é"]
            ),
            max_size=60,
        ).map(lambda tokens: "".join(tokens).encode()),
    ),
)
def test_any_bytes_are_read_to_the_same_end(name: str, content: bytes) -> None:
    made = outline(name, content)
    assert outline(name, content) == made
    lines = content.count(b"\n") + 1
    assert all(0 <= symbol.line <= symbol.end <= lines for symbol in made.symbols)
