"""Docstrings read well: no paragraph ends in an orphan, a word alone on its last line."""

import ast

from sources import FILES, ROOT

SHORTEST = 14  # characters that the last line of a paragraph must exceed where the line before it is a full one


def orphans(source: str) -> list[str]:
    """The last lines of docstring paragraphs that are too short, with their line numbers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            lines = first.value.value.split("\n")
            for i in range(1, len(lines)):
                ends = i + 1 == len(lines) or not lines[i + 1].strip()
                if ends and 0 < len(lines[i].strip()) <= SHORTEST and len(lines[i - 1].strip()) > 60:
                    found.append(f"{first.lineno + i}: {lines[i].strip()}")
    return found


def test_no_docstring_ends_in_an_orphan():
    found = {str(path.relative_to(ROOT)): orphans(path.read_text(encoding="utf-8")) for path in FILES}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_an_orphan_is_seen():
    full = "This line is as long as the ones that an automatic wrap of a sentence makes"
    source = 'def f():\n    """Short.\n\n    {}\n    {}\n    """\n'
    assert orphans(source.format(full, "for everybody.")) == ["5: for everybody."]
    assert orphans(source.format(full, "for everybody else")) == []
    assert orphans(source.format("A short line", "then another")) == []
