"""What a file defines and imports: by tree-sitter where there is a grammar, by the beginnings of lines elsewhere.

Files come from people and models. So only the beginning of a file is parsed (tree-sitter takes up to 10 µs a byte where
a text is made to be ambiguous, 0.2 µs otherwise), nothing here recurses, and the symbols of a file are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import tree_sitter_javascript
import tree_sitter_python
import tree_sitter_typescript
from tree_sitter import Language, Node, Parser

from devstudio_server.planning.context.languages import language_of_path

MAX_PARSED_BYTES = 64 * 1024
MAX_SYMBOLS = 1500
_MAX_DEPTH = 8
_MAX_NODES = 20_000
_MAX_SIGNATURE = 200
_MAX_IMPORTS = 200

_GRAMMARS = {
    "python": tree_sitter_python.language,
    "javascript": tree_sitter_javascript.language,
    "typescript": tree_sitter_typescript.language_typescript,
    "tsx": tree_sitter_typescript.language_tsx,
}
_DEFINITIONS = frozenset(
    {
        "function_definition", "class_definition", "function_declaration", "generator_function_declaration",
        "class_declaration", "abstract_class_declaration", "method_definition", "abstract_method_signature",
        "method_signature", "function_signature", "interface_declaration", "type_alias_declaration",
        "enum_declaration", "internal_module",
    }
)  # fmt: skip
_FUNCTIONS = frozenset({"arrow_function", "function_expression", "generator_function", "class"})
# Nodes between a file and its definitions; whatever else there is holds none that others could name.
_THROUGH = frozenset(
    {
        "module", "program", "block", "decorated_definition", "if_statement", "else_clause", "try_statement",
        "except_clause", "export_statement", "lexical_declaration", "variable_declaration", "expression_statement",
        "ambient_declaration", "class_body", "interface_body", "statement_block", "with_statement",
    }
)  # fmt: skip
_HOLDERS = frozenset(
    {
        "class_definition", "class_declaration", "abstract_class_declaration", "interface_declaration",
        "internal_module",
    }
)  # fmt: skip
_SCRIPT_IMPORT = re.compile(r"(?:\bfrom|\brequire\(|\bimport\(?)\s*['\"]([^'\"\n]{1,200})['\"]")
_PLAIN = re.compile(
    r"^(?P<indent>[ \t]*)(?:(?:export|pub(?:\([a-z]+\))?|public|private|protected|internal|static|final|abstract|async"
    r"|override|unsafe|sealed|open|data) )*"
    r"(?:func|fn|class|struct|interface|enum|trait|impl|module|type|def|defmodule|fun|function|object|record|message"
    r"|service|CREATE TABLE)[ \t]+(?:\([^)\n]{0,80}\)[ \t]*)?(?P<name>[A-Za-z_]\w*)",
)
_HEADING = re.compile(r"^#{1,3} +(?P<name>\S.*)$")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition. ``line`` and ``end`` are indexes of its first and last line, from 0; ``depth`` is its nesting."""

    name: str
    signature: str
    line: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Outline:
    """The definitions of a file in their order, and the modules that it imports as it names them."""

    symbols: tuple[Symbol, ...]
    imports: tuple[str, ...]


def outline(path: str, content: bytes, *, by_grammar: bool = True) -> Outline:
    """Return what the file at ``path`` defines and imports, as far as `MAX_PARSED_BYTES` go."""
    language = language_of_path(path) if by_grammar else None
    head = content[:MAX_PARSED_BYTES]
    if language is None:
        return Outline(tuple(_plain_symbols(path, head.decode("utf-8", "replace"))), ())
    root = _parser_of(language).parse(head).root_node
    walk = _Walk(head)
    walk.run(root)
    if language != "python":
        walk.imports = _SCRIPT_IMPORT.findall(head.decode("utf-8", "replace"))
    return Outline(tuple(walk.symbols), tuple(dict.fromkeys(walk.imports))[:_MAX_IMPORTS])


class _Walk:
    """One way through a tree, from definition to definition, without recursion."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self.symbols: list[Symbol] = []
        self.imports: list[str] = []

    def run(self, root: Node) -> None:
        """Collect what is below ``root``, in the order of the text."""
        stack = [(root, 0, 0)]
        for _ in range(_MAX_NODES):
            if not stack or len(self.symbols) >= MAX_SYMBOLS:
                return
            node, depth, level = stack.pop()
            below = self._visit(node, depth)
            if below is not None and level < 3 * _MAX_DEPTH:
                stack += [(child, below, level + 1) for child in reversed(node.named_children)]

    def _visit(self, node: Node, depth: int) -> int | None:
        """Take what ``node`` says; return the nesting of what is below it, None when nothing there counts."""
        kind = node.type
        if kind in _DEFINITIONS:
            self._define(node, node, depth)
            return depth + 1 if kind in _HOLDERS and depth < _MAX_DEPTH else None
        if kind == "variable_declarator":
            value = node.child_by_field_name("value")
            if value is not None and value.type in _FUNCTIONS:
                self._define(node, value, depth)
            return None
        if kind in {"import_statement", "import_from_statement"}:
            self.imports += self._imported(node)
        return depth if kind in _THROUGH else None

    def _define(self, node: Node, bodied: Node, depth: int) -> None:
        named = node.child_by_field_name("name")
        if named is None:
            return
        body = bodied.child_by_field_name("body")
        end = node.end_byte if body is None or node.type == "type_alias_declaration" else body.start_byte
        text = self._source[node.start_byte : min(end, node.start_byte + 4 * _MAX_SIGNATURE)].decode("utf-8", "replace")
        signature = _signature(text)
        name = self._text(named)[:_MAX_SIGNATURE]
        self.symbols.append(Symbol(name, signature, node.start_point[0], node.end_point[0], depth))

    def _imported(self, node: Node) -> Iterator[str]:
        """Yield the modules of a Python import; what is imported from a package may be a module itself."""
        module = node.child_by_field_name("module_name")
        names = [self._text(_aliased(name)) for name in node.children_by_field_name("name")]
        if module is None:
            yield from names
            return
        base = self._text(module)
        yield base
        yield from (f"{base}{name}" if base.endswith(".") else f"{base}.{name}" for name in names)

    def _text(self, node: Node) -> str:
        return self._source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _signature(text: str) -> str:
    """Return ``text`` in one line, without the sign that opens what follows."""
    return " ".join(text.split())[:_MAX_SIGNATURE].removesuffix("=>").rstrip(" {:")


def _aliased(node: Node) -> Node:
    named = node.child_by_field_name("name") if node.type == "aliased_import" else None
    return named or node


@cache
def _language(name: str) -> Language:
    return Language(_GRAMMARS[name]())


def _parser_of(name: str) -> Parser:
    return Parser(_language(name))  # a parser has a state, so threads don't share one; making one costs microseconds


def _plain_symbols(path: str, text: str) -> Iterator[Symbol]:
    pattern = _HEADING if path.lower().endswith((".md", ".markdown", ".mdx")) else _PLAIN
    count = 0
    for index, line in enumerate(text.split("\n")):
        found = pattern.match(line[: 2 * _MAX_SIGNATURE])
        if found is None:
            continue
        depth = min(len(found.groupdict().get("indent") or "") // 2, _MAX_DEPTH)
        signature = _signature(line[: 2 * _MAX_SIGNATURE])
        yield Symbol(found.group("name"), signature, index, index, depth)
        count += 1
        if count >= MAX_SYMBOLS:
            return
