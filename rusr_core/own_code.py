"""Methods and operators of one's own, named "module:name", and what their source code says.

Both are part of a sweep's configuration: results of a method that has been changed do not mix with those from before.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from rusr_core.errors import RusrError, in_a_line


class OwnCodeError(RusrError):
    """A "module:name" that cannot be imported."""


def find_object(reference: str) -> object:
    """What "module:name" names; the name may have dots. Raises OwnCodeError, whatever the module does on import."""
    module, colon, name = reference.partition(":")
    if not (colon and module and name):
        raise OwnCodeError(f"{reference!r}: expected MODULE:NAME")
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # the module runs its own code
        raise OwnCodeError(f"{reference!r}: cannot import {module} ({in_a_line(error)})") from error
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module and a class may have a `__getattr__`
        reason = "" if isinstance(error, AttributeError) else f" ({in_a_line(error)})"
        raise OwnCodeError(f"{reference!r}: {module} has no {name!r}{reason}") from error
    return found


def source_digest(first: str) -> str | None:
    """SHA-256 of the source of the module `first`, and of the modules beside it that it imports, directly or not.

    Followed are imports, also those inside functions, of modules that lie in the folder of its top-level package or
    below it. Installed libraries and this one are not. Comments and docstrings do not count. None for a module without
    a source of one's own: an installed one, or one written in another language. A source that is no Python, which a
    function may import at its own risk, counts byte by byte.
    """
    path = _source_of(first)
    if path is None or "site-packages" in path.parts:
        return None
    root = path.parents[first.count(".") + (path.name == "__init__.py")]
    seen: dict[str, bytes] = {}
    left = [first]
    while left:
        name = left.pop()
        path = _source_of(name)
        foreign = path is None or not path.is_relative_to(root) or "site-packages" in path.parts
        if foreign or name in seen or (name != first and name.partition(".")[0] == "rusr_core"):
            continue
        seen[name] = path.read_bytes()
        left += _imports(seen[name], name if path.name == "__init__.py" else name.rpartition(".")[0])
    return digest_of_sources(sorted(seen.items()))


def _source_of(name: str) -> Path | None:
    """The source file of the module `name`, None if there is none."""
    module = sys.modules.get(name)
    try:
        file = module.__file__ if module is not None else importlib.util.find_spec(name).origin
    except Exception:  # the packages above it run their own code
        return None
    return Path(file).resolve() if file is not None and file.endswith(".py") else None


def _imports(source: bytes, package: str) -> list[str]:
    """The names that may be modules, of all imports in a source that lies in `package`."""
    found, tree = [], _tree(source)
    for node in () if tree is None else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in found if name]


def digest_of_sources(sources: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 of Python sources, each with a name: of their syntax trees, without comments, docstrings and layout."""
    sha = hashlib.sha256()
    for name, source in sources:
        tree = _tree(source)
        if tree is not None:
            _drop_docstrings(tree)
        sha.update(f"{name}\0".encode() + (source if tree is None else _outline(tree).encode()) + b"\0")
    return sha.hexdigest()


def _tree(source: bytes) -> ast.AST | None:
    """The syntax tree of a source; None if it is no Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _drop_docstrings(tree: ast.AST) -> None:
    """Remove the strings that stand alone, as docstrings do; they do nothing."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [child for child in body if not _is_text(child)]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _outline(value: object) -> str:
    """A syntax tree as text. `ast.dump` would do, but it says empty fields in some versions of Python only."""
    if isinstance(value, ast.AST):
        fields = ((name, part) for name, part in ast.iter_fields(value) if part not in (None, []))
        return f"{type(value).__name__}({','.join(f'{name}={_outline(part)}' for name, part in fields)})"
    if isinstance(value, list):
        return f"[{','.join(map(_outline, value))}]"
    return repr(value)
