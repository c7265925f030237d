"""The contract of the house: every import of the library runs down, and the linter notices one that does not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINTER = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache', '--no-logo'])"


@pytest.fixture
def house(tmp_path) -> Path:
    """A copy of the library and of its contract, without the weights."""
    shutil.copytree(ROOT / "rusr_core", tmp_path / "rusr_core", ignore=shutil.ignore_patterns("_data", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", LINTER], cwd=folder, capture_output=True, text=True)


def test_every_import_runs_down(house):
    done = lint_imports(house)
    assert done.returncode == 0 and "1 kept, 0 broken" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module, line, message",
    [
        ("images", "import rusr_core.restore", "rusr_core.images is not allowed to import rusr_core.restore"),
        ("presets", "import rusr_core.priors.zoo", "rusr_core.presets is not allowed to import rusr_core.priors"),
        ("shed", "", "rusr_core.shed"),  # a new module must be given its place in the list
    ],
)
def test_an_import_that_runs_up_is_seen(house, module, line, message):
    path = house / f"rusr_core/{module}.py"
    path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + f"\n{line}\n", encoding="utf-8")
    done = lint_imports(house)
    assert done.returncode != 0
    assert message in " ".join(done.stdout.split()), done.stdout + done.stderr
