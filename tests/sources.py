"""All Python files of the project, for tests that read them, and the scripts of the book as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("rusr_core", "tests", "tools", "benchmarks", "book")
FILES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))


def script(name: str) -> ModuleType:
    """The script book/NAME.py, which lies in no package, as a module."""
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), ROOT / f"book/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
