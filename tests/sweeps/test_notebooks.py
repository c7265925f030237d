"""Grids of notebooks resume and refuse unknown names."""

from pathlib import Path

import nbformat
import pytest

from rusr_core.commands import main
from rusr_core.sweeps import notebooks


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A notebook of two parameters that fails for one value."""
    cells = [nbformat.v4.new_code_cell("level: str = 'M'\nseed: int = 0", metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell("assert level != 'bad'\nprint(level, seed + 1)"))
    path = tmp_path / "tiny.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


def printed(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[-1].outputs[0].text.strip()


def test_a_grid_runs_every_combination_once(tiny, tmp_path, capsys):
    command = ["papermill", str(tiny), str(tmp_path / "out"), "-p", "level=S,L", "-p", "seed=3"]
    assert main(command) == 0
    made = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in made] == ["tiny_level-L_seed-3.ipynb", "tiny_level-S_seed-3.ipynb"]
    assert [printed(p) for p in made] == ["L 4", "S 4"]  # the seed came as text and became a number
    times = [p.stat().st_mtime_ns for p in made]
    capsys.readouterr()
    assert main(command) == 0 and capsys.readouterr().out.count("was there") == 2
    assert [p.stat().st_mtime_ns for p in made] == times


def test_a_value_that_is_a_path_is_part_of_a_name(tiny, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(notebooks, "execute", lambda notebook, path, values: ran.append(path))
    notebooks.grid(tiny, tmp_path, {"level": ["../a/b", "a-b", "../a-b"]})
    assert len({path.name for path in ran}) == 3 and {path.parent for path in ran} == {tmp_path}


def test_a_failed_notebook_is_kept_apart(tiny, tmp_path):
    with pytest.raises(notebooks.NotebookError, match="tiny.ipynb: AssertionError"):
        notebooks.grid(tiny, tmp_path / "out", {"level": ["bad"]})
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["tiny_level-bad.failed.ipynb"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["-p", "stepz=3"], "has no parameter stepz; expected one of level, seed"),
        (["-p", "seed=three"], "parameter seed is 'three', expected int"),
        (["-p", "seed"], "expected NAME=VALUE"),
    ],
)
def test_unknown_parameters_are_errors_and_write_nothing(tiny, tmp_path, capsys, words, message):
    assert main(["papermill", str(tiny), str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_missing_notebook(tmp_path, capsys):
    assert main(["papermill", str(tmp_path / "none.ipynb"), str(tmp_path / "out")]) == 2
    assert "no such notebook" in capsys.readouterr().err
