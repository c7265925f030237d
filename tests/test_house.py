"""What is read at one sitting: no file is longer than 300 lines, no function than 40 besides its docstring."""

import ast
import re

import pytest
from sources import FILES, FOLDERS, ROOT

NAMED = re.compile(r"\b(?:benchmarks|book|data|rusr_core|tests|tools)/[a-z0-9_./-]+\.(?:py|md|ipynb|json|toml)\b")
PAGE = re.compile(r"\b[\w-]+\.md\b")
WRITTEN = {"live_status.md", "captions.md", "distances.md", "differences.md", "prices.md"}  # by commands and builds
LONGEST_FILE, LONGEST_FUNCTION = 300, 40  # lines


def long_functions(source: str) -> list[str]:
    """Name and length of each function of a file that is too long; a docstring does not count, a signature does."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            if lines > LONGEST_FUNCTION:
                found.append(f"{node.name}: {lines} lines")
    return found


def test_no_file_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_too_long():
    found = {str(path.relative_to(ROOT)): long_functions(path.read_text(encoding="utf-8")) for path in FILES}
    assert {path: functions for path, functions in found.items() if functions} == {}


@pytest.mark.parametrize("lines, found", [(39, []), (40, ["f: 41 lines"])])
def test_a_long_function_is_seen(lines, found):
    source = 'def f():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * lines
    assert long_functions(source) == found


def test_no_two_files_of_tests_have_one_name():
    """Folders of tests are no packages, so pytest imports two files of one name as one module, and one is not run."""
    names = [path.name for path in FILES if path.is_relative_to(ROOT / "tests") and path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def test_no_code_sends_its_reader_to_a_page_that_a_clone_does_not_have():
    """Docstrings named specifications that lie beside the project, "baselines.md, section 14", and not in it."""
    pages = [*ROOT.glob("*.md"), *(page for name in (*FOLDERS, "data") for page in (ROOT / name).rglob("*.md"))]
    there = {page.name for page in pages} | WRITTEN
    sources = [path for path in FILES if not path.is_relative_to(ROOT / "tests")]
    named = {(str(path.relative_to(ROOT)), name) for path in sources for name in PAGE.findall(path.read_text())}
    assert len(named) > 10
    assert sorted(pair for pair in named if pair[1] not in there) == []


def test_files_that_the_code_names_are_there():
    """A docstring that sends its reader to a test or a chapter which has moved; tests name files that are not there."""
    sources = [path for path in FILES if not path.is_relative_to(ROOT / "tests")]
    named = {(str(path.relative_to(ROOT)), name) for path in sources for name in NAMED.findall(path.read_text())}
    assert len(named) > 50
    assert sorted(pair for pair in named if not (ROOT / pair[1]).exists()) == []
