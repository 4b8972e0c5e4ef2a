"""Which file an import means."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import dirname, join, normpath, splitext

from devstudio_server.planning.context.index import TreeView
from devstudio_server.planning.context.languages import language_of_path

_SCRIPT_ENDINGS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".d.ts")
_MOST_ALIKE = 200  # files of one name that are looked at


def resolve(view: TreeView, importer: str, module: str) -> str | None:
    """Return the path of the file of ``view`` that ``module`` means when ``importer`` imports it, None for others."""
    if language_of_path(importer) == "python":
        return _python(view, importer, module)
    if not module.startswith("."):
        return None
    base = normpath(join(dirname(importer), module))
    return next((path for path in _script_paths(base) if path in view.paths), None)


def _script_paths(base: str) -> Iterator[str]:
    yield base
    for ending in _SCRIPT_ENDINGS:
        yield base + ending
    yield from (f"{splitext(base)[0]}{ending}" for ending in (".ts", ".tsx") if base.endswith((".js", ".jsx")))
    yield from (f"{base}/index{ending}" for ending in _SCRIPT_ENDINGS)


def _python(view: TreeView, importer: str, module: str) -> str | None:
    dots = len(module) - len(module.lstrip("."))
    name = module[dots:].replace(".", "/")
    if dots:
        folder = dirname(importer)
        for _ in range(dots - 1):
            folder = dirname(folder)
        return _present(view, join(folder, name).rstrip("/"))
    return _present(view, name) or _anywhere(view, importer, name)


def _present(view: TreeView, base: str) -> str | None:
    candidates = (f"{base}.py", f"{base}.pyi", f"{base}/__init__.py" if base else "__init__.py")
    return next((path for path in candidates if path in view.paths), None)


def _anywhere(view: TreeView, importer: str, name: str) -> str | None:
    """Return the file below any root (``src/``, a package in a monorepo), the one nearest to the importer first."""
    endings = (f"/{name}.py", f"/{name}/__init__.py")
    alike = [
        place
        for ending in endings
        for place in view.by_name.get("__init__.py" if ending.endswith("__init__.py") else ending.rsplit("/", 1)[1], ())
    ]
    found = [path for path in (view.entries[place].path for place in alike[:_MOST_ALIKE]) if path.endswith(endings)]
    return min(found, key=lambda path: (-_shared(path, importer), len(path), path), default=None)


def _shared(one: str, other: str) -> int:
    """Return how many folders two paths have in common."""
    count = 0
    for first, second in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if first != second:
            break
        count += 1
    return count
