"""All Python files of the project, for tests that read them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("rusr_core", "tests", "tools", "benchmarks", "book")
FILES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))
