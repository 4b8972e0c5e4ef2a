"""What other code can use of a file, as far as the text tells, so that a change of it is noticed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from posixpath import basename

_SCRIPT = re.compile(r"\.(?:[cm]?js|jsx|[cm]?ts|tsx)$")
_TEST = re.compile(
    r"(?:^|/)(?:tests?|__tests__)/|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$|\.(?:test|spec)\.[^/]+$"
)
_EXPORT = re.compile(
    r"^export\s+(?:default\s+)?(?:async\s+)?(?:function\s*\*?|class|const|let|var|interface|type|enum)\s+([A-Za-z_$][\w$]*)"
    r"(\s*\([^)]*\))?",
    re.MULTILINE,
)
_EXPORTED = re.compile(r"^export\s*\{([^}]*)\}", re.MULTILINE)
_COMMONJS = re.compile(r"^(?:module\.)?exports\.([A-Za-z_$][\w$]*)\s*=", re.MULTILINE)
_OBJECT = re.compile(r"^module\.exports\s*=\s*\{([^}]*)\}", re.MULTILINE)

Names = dict[str, str]
"""Public names with their parameters; empty text for what has none."""


def changed_names(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> list[str]:
    """Say what of the public names of each file is gone, or takes other parameters; tests are nobody's interface."""
    said = []
    for path, text in before.items():
        if text is None or _TEST.search(path):
            continue
        old, new = public_names(path, text), public_names(path, after.get(path) or "")
        if old is None or new is None:
            continue
        for name, parameters in old.items():
            if name not in new:
                said.append(f"{path}: {name} is gone.")
            elif new[name] != parameters:
                said.append(f"{path}: {name}{parameters} is {name}{new[name]} now.")
    return said


def public_names(path: str, text: str) -> Names | None:
    """Return the public names of a file; None for one that cannot be read."""
    if path.endswith(".py"):
        try:
            return _python(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError):
            return None
    return _script(text) if _SCRIPT.search(basename(path)) else None


def _python(module: ast.Module) -> Names:
    names: Names = {}
    for node in module.body:
        for name, parameters in _defined(node):
            if not name.startswith("_"):
                names[name] = parameters
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = (item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {
                f"{node.name}.{method.name}": _parameters(method)
                for method in methods
                if method.name == "__init__" or not method.name.startswith("_")
            }
    return names


def _defined(node: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name, _parameters(node)
    elif isinstance(node, ast.ClassDef):
        yield node.name, ""
    elif isinstance(node, ast.Assign):
        yield from ((target.id, "") for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, ""
    elif isinstance(node, ast.ImportFrom):
        # What a package takes from its own modules, it offers.
        yield from ((alias.asname or alias.name, "") for alias in node.names if node.level)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the parameters without annotations, which callers need not follow."""
    return f"({ast.unparse(_bare(function.args))})"


def _bare(arguments: ast.arguments) -> ast.arguments:
    def bare(argument: ast.arg | None) -> ast.arg | None:
        return None if argument is None else ast.arg(argument.arg)

    return ast.arguments(
        posonlyargs=[ast.arg(argument.arg) for argument in arguments.posonlyargs],
        args=[ast.arg(argument.arg) for argument in arguments.args],
        vararg=bare(arguments.vararg),
        kwonlyargs=[ast.arg(argument.arg) for argument in arguments.kwonlyargs],
        kw_defaults=arguments.kw_defaults,
        kwarg=bare(arguments.kwarg),
        defaults=arguments.defaults,
    )


def _script(text: str) -> Names:
    names = {name: "".join(parameters.split()) for name, parameters in _EXPORT.findall(text)}
    for group in (*_EXPORTED.findall(text), *_OBJECT.findall(text)):
        listed = (part.split(":")[0].split(" as ")[-1].strip() for part in group.split(","))
        names |= {name: "" for name in listed if name}
    return names | dict.fromkeys(_COMMONJS.findall(text), "")
